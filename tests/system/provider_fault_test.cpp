// What a model server does wrong, and how the answer ends all the same.

#include <atomic>

#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

using test::fake_end;
using test::fake_request;
using test::fake_script;

constexpr std::size_t pieces = 5;
constexpr std::uint32_t attempts = 3;

server_options impatient() {
  server_options out;
  out.attempts = attempts;
  out.first_piece_timeout_ms = 300;
  out.idle_timeout_ms = 300;
  return out;
}

fake_script begun(const fake_request& request, fake_end end) {
  fake_script out;
  const auto question = request.question();
  for (std::size_t i = 0; i < 2; ++i)
    out.steps.push_back({1, test::text_chunk(test::expected_piece(question, i))});
  out.end = end;
  return out;
}

fake_script status(int number, std::vector<std::string> headers = {"Content-Type: application/json"}) {
  fake_script out;
  out.status = number;
  out.headers = std::move(headers);
  out.steps.push_back({0, R"({"error":{"message":"no","code":"refused"}})"});
  return out;
}

fake_script silent() {
  fake_script out;
  out.end = fake_end::hang;
  return out;
}

fake_script saying(const std::string& what, const std::string& type = "text/event-stream") {
  fake_script out;
  out.headers = {"Content-Type: " + type};
  out.steps.push_back({0, what});
  return out;
}

fake_script not_http() {
  fake_script out;
  out.raw = true;
  out.steps.push_back({0, "220 mail.example.org ESMTP\r\n\r\n"});
  out.end = fake_end::cut;
  return out;
}

struct wrong_doing {
  const char* name;
  test::fake_behaviour how;
  const char* reason;
};

// All that are to be tried again.
std::vector<wrong_doing> wrong_doings() {
  return {
      {"says nothing", [](const fake_request&) { return silent(); }, "timed_out"},
      {"falls silent in the middle", [](const fake_request& r) { return begun(r, fake_end::hang); },
       "timed_out"},
      {"cuts in the middle", [](const fake_request& r) { return begun(r, fake_end::cut); }, "cut"},
      {"resets in the middle", [](const fake_request& r) { return begun(r, fake_end::reset); }, "cut"},
      {"ends without a finish reason", [](const fake_request& r) { return begun(r, fake_end::finish); },
       "cut"},
      {"sends a page", [](const fake_request&) { return saying("<html>busy</html>", "text/html"); },
       "not_a_stream"},
      {"tells of an error in the stream",
       [](const fake_request&) { return saying(test::sse_data(R"({"error":{"message":"no"}})")); },
       "in_stream"},
      {"answers 500", [](const fake_request&) { return status(500); }, "status"},
      {"answers 408", [](const fake_request&) { return status(408); }, "status"},
      {"answers 429 with Retry-After",
       [](const fake_request&) { return status(429, {"Content-Type: application/json", "Retry-After: 1"}); },
       "status"},
  };
}

// Does wrong so many times, then answers.
test::fake_behaviour at_first(test::fake_behaviour wrong, int times) {
  const auto left = std::make_shared<std::atomic<int>>(times);
  return [wrong = std::move(wrong), left](const fake_request& request) {
    return (*left)-- > 0 ? wrong(request) : test::answers(pieces, 1)(request);
  };
}

} // namespace

TEST_CASE("a call that fails twice is made a third time, and its answer is whole") {
  house h(MARU_BINARY, test::answers(pieces, 1), impatient());
  const auto who = h.person("ann");
  for (const auto& what : wrong_doings()) {
    INFO("a model that " << what.name);
    const auto room = h.room(who);
    const auto c = h.device(who, room);
    c->expect(test::expected_answer);
    h.model.behave(at_first(what.how, 2));
    const auto& end = ended(*c, c->send(room, what.name));
    CHECK(end["kind"] == "answer");
    CHECK(end["data"]["attempts"] == 3);
    CHECK(end["data"]["text"] == test::expected_answer(what.name, pieces));
    CHECK(c->wrong() == "");
  }
}

TEST_CASE("a call that always fails ends in answer_failed after its attempts, with the reason") {
  house h(MARU_BINARY, test::answers(pieces, 1), impatient());
  const auto who = h.person("ann");
  for (const auto& what : wrong_doings()) {
    INFO("a model that " << what.name);
    const auto room = h.room(who);
    const auto c = h.device(who, room);
    h.model.behave(what.how);
    const auto before = h.model.counts().requests;
    const auto& end = ended(*c, c->send(room, what.name));
    CHECK(end["kind"] == "answer_failed");
    CHECK(end["data"]["reason"]["code"] == what.reason);
    CHECK(h.model.counts().requests - before == attempts);
    CHECK(c->wrong() == "");
  }
}

TEST_CASE("what is no HTTP, or an event stream of nonsense, never becomes an answer") {
  house h(MARU_BINARY, test::answers(pieces, 1), impatient());
  const auto who = h.person("ann");
  const std::vector<test::fake_behaviour> nonsense{
      [](const fake_request&) { return not_http(); },
      [](const fake_request&) { return saying("\xff\xfe\x00 garbage\n\n"); },
      [](const fake_request&) { return saying(test::sse_data("not json at all")); },
      [](const fake_request&) { return saying(""); },
  };
  for (std::size_t i = 0; i < nonsense.size(); ++i) {
    CAPTURE(i);
    const auto room = h.room(who);
    const auto c = h.device(who, room);
    h.model.behave(nonsense[i]);
    CHECK(ended(*c, c->send(room, "a question"))["kind"] == "answer_failed");
    CHECK(c->wrong() == "");
  }
}

TEST_CASE("a call that the provider refuses for good is not repeated") {
  house h(MARU_BINARY, [](const fake_request&) { return status(401); });
  const auto who = h.person("ann");
  const auto room = h.room(who);
  const auto c = h.device(who, room);
  for (const int number : {400, 401, 403, 404}) {
    CAPTURE(number);
    h.model.behave([number](const fake_request&) { return status(number); });
    const auto before = h.model.counts().requests;
    const auto& end = ended(*c, c->send(room, "a question"));
    CHECK(end["kind"] == "answer_failed");
    CHECK(end["data"]["reason"]["code"] == "status");
    CHECK(h.model.counts().requests - before == 1);
  }
  CHECK(c->wrong() == "");
}

TEST_CASE("a model server that is down is waited for") {
  std::uint16_t port = 0;
  {
    const test::fake_model there(1, 0);
    port = there.port();
  }
  auto options = impatient();
  options.attempts = 100;
  options.model_url = "http://127.0.0.1:" + std::to_string(port) + "/v1";
  house h(MARU_BINARY, test::answers(1, 0), options);
  const auto who = h.person("ann");
  const auto room = h.room(who);
  const auto c = h.device(who, room);
  c->expect(test::expected_answer);
  const auto question = c->send(room, "is anybody there?");
  const std::string answer = acked(*c, question)["answers"][0]["answer"];
  REQUIRE(c->wait([&] {
    const auto& seen = c->room(room).attempts;
    return seen.contains(answer) && seen.at(answer) >= 3;
  }));
  const test::fake_model back(pieces, 1, port);
  const auto& end = ended(*c, question);
  CHECK(end["kind"] == "answer");
  CHECK(end["data"]["attempts"] >= 3);
  CHECK(end["data"]["text"] == test::expected_answer("is anybody there?", pieces));
  CHECK(c->wrong() == "");
}

TEST_CASE("with recovery continue a cut answer goes on from its text") {
  auto options = impatient();
  options.recovery = "continue";
  house h(MARU_BINARY, at_first([](const fake_request& r) { return begun(r, fake_end::cut); }, 1), options);
  const auto who = h.person("ann");
  const auto room = h.room(who);
  const auto c = h.device(who, room);
  c->expect(test::expected_answer);
  const auto& end = ended(*c, c->send(room, "go on"));
  CHECK(end["data"]["text"] == test::expected_answer("go on", pieces));
  CHECK(end["data"]["attempts"] == 2);
  CHECK(h.model.requests().back().prefix() == test::expected_answer("go on", 2));
  CHECK(c->wrong() == "");
}

TEST_CASE("a stop closes the stream of a model that hangs, and what was shown is kept") {
  house h(MARU_BINARY, [](const fake_request& r) { return begun(r, fake_end::hang); });
  const auto who = h.person("ann");
  const auto room = h.room(who);
  const auto c = h.device(who, room);
  const auto question = c->send(room, "hang");
  const std::string answer = acked(*c, question)["answers"][0]["answer"];
  REQUIRE(c->wait([&] {
    const auto& live = c->room(room).live;
    return live.contains(answer) && live.at(answer).n == 2;
  }));
  c->stop(room, answer);
  const auto& end = ended(*c, question);
  CHECK(end["kind"] == "answer_stopped");
  CHECK(end["data"]["text"] == test::expected_answer("hang", 2));
  CHECK(h.model.wait([](const test::fake_counts& n) { return n.closed_early == 1; }));
  CHECK(c->wrong() == "");
}

} // namespace maru::tests
