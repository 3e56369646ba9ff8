// The numbers of a real server, read back after things were done to it.

#include <fstream>

#include "tests/support/house.hpp"
#include "tests/support/numbers.hpp"

namespace maru::tests {
namespace {

numbers scrape(const house& h) {
  const auto got = http_request(h.address(), "GET", "/metrics", {named_here});
  REQUIRE(got.status == 200);
  return numbers{got.body};
}

test::fake_script refused() {
  test::fake_script out;
  out.status = 400;
  out.headers = {"Content-Type: application/json"};
  out.steps.push_back({0, R"({"error":{"message":"no"}})"});
  return out;
}

} // namespace

TEST_CASE("what is done to a server shows in its numbers") {
  constexpr std::size_t pieces = 5;
  house h(MARU_BINARY, test::answers(pieces, 1));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  auto device = h.device(ann, room);
  const auto before = scrape(h);
  CHECK(before.value(R"(maru_connections{kind="ws"})") == 1);
  CHECK(before.value(R"(maru_http_requests_total{route="POST /api/v1/signup",status="2xx"})") == 1);
  CHECK(before.value(R"(maru_http_requests_total{route="POST /api/v1/rooms",status="2xx"})") == 1);

  ended(*device, device->send(room, "a question"));
  h.model.behave([](const test::fake_request&) { return refused(); });
  ended(*device, device->send(room, "another"));
  device->say({{"type", "send"}, {"id", "no uuid"}});
  REQUIRE(device->wait([&] { return !device->errors().empty(); }));
  CHECK(api(h.address(), "", "POST", "/api/v1/login", {{"username", "ann"}, {"password", "wrong"}}).status ==
        401);

  const auto got = scrape(h);
  const auto grown = [&](const std::string& series) { return got.value(series) - before.value(series); };
  CHECK(grown(R"(maru_answers_total{end="answered"})") == 1);
  CHECK(grown(R"(maru_answers_total{end="status"})") == 1);
  CHECK(grown("maru_answer_pieces_total") == pieces);
  CHECK(grown("maru_answer_seconds_count") == 2);
  CHECK(grown("maru_answer_first_piece_seconds_count") == 1);
  CHECK(grown(R"(maru_answer_tokens_total{kind="completion"})") > 0);
  CHECK(grown(R"(maru_provider_calls_total{provider="model",outcome="ok"})") == 1);
  CHECK(grown(R"(maru_provider_calls_total{provider="model",outcome="status"})") == 1);
  CHECK(got.value(R"(maru_provider_calls_running{provider="model"})") == 0);
  CHECK(grown(R"(maru_commands_refused_total{code="invalid_field"})") == 1);
  CHECK(grown(R"(maru_frames_received_total{type="send"})") == 2);
  CHECK(grown(R"(maru_frames_received_total{type="refused"})") == 1);
  CHECK(grown("maru_frames_sent_total") > pieces);
  CHECK(grown(R"(maru_http_requests_total{route="POST /api/v1/login",status="4xx"})") == 1);
  CHECK(grown("maru_store_steps_total") >= 4); // two messages, two ends
  CHECK(grown("maru_store_group_steps_sum") == grown("maru_store_steps_total"));
  CHECK(grown("maru_store_step_seconds_count") == grown("maru_store_steps_total"));
  CHECK(grown("maru_store_commit_seconds_count") == grown("maru_store_group_steps_count"));
  CHECK(got.value("maru_store_writes_fail") == 0);
  CHECK(got.value(R"(maru_actors{actor="agent"})") == 1);
  CHECK(got.value("process_resident_memory_bytes") > 1e6);
  CHECK(device->wrong().empty());
}

TEST_CASE("a scrape holds every metric of the table, and nothing that a user wrote") {
  house h(MARU_BINARY);
  const auto ann = h.person("annabella");
  const auto room = h.room(ann);
  auto device = h.device(ann, room);
  ended(*device, device->send(room, "surprising"));
  h.get(ann, "/api/v1/rooms/" + room);
  http_request(h.address(), "GET", "/surprising");
  const auto text = http_request(h.address(), "GET", "/metrics", {named_here}).body;
  const numbers got{text};
  for (const auto& name : metric_names_in(source_file("docs/operations.md"))) {
    CAPTURE(name);
    const auto family = [&] {
      for (const auto* part : {"_bucket", "_sum", "_count"})
        if (name.ends_with(part)) return name.substr(0, name.rfind('_'));
      return name;
    }();
    CHECK(got.families().contains(family));
  }
  CHECK(got.series() < 3000);
  for (const auto& theirs : {std::string{"annabella"}, room, std::string{"surprising"}, ann.id}) {
    CAPTURE(theirs);
    CHECK(text.find(theirs) == std::string::npos);
  }
}

TEST_CASE("beyond this machine the numbers are for administrators and the operator's own token") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  const auto status = [&](const std::string& token) {
    return http_request(h.address(), "GET", "/metrics", {{"Via", "1.1 proxy"}, bearer(token)}).status;
  };
  CHECK(status(ann.access_token) == 200);
  CHECK(status(bob.access_token) == 404);
  std::ifstream in(h.server.data() / "maru.control");
  CHECK(status(json::parse(in).at("token")) == 200);
  CHECK(status("nobody's") == 404);
}

} // namespace maru::tests
