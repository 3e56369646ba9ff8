// The openai provider against a server that misbehaves on demand.

#include <chrono>
#include <stdexcept>
#include <utility>

#include "config/limits.hpp"
#include "tests/support/model_call.hpp"

using namespace maru::llm;
using namespace maru::test;

TEST_CASE("a refused connection is unreachable and may be tried again") {
  std::uint16_t port = 0;
  {
    fake_model gone(1, 0);
    port = gone.port();
  }
  auto end = one_call(at("http://127.0.0.1:" + std::to_string(port) + "/v1"));
  CHECK(end.what == fault::unreachable);
  CHECK(end.retryable);
  CHECK(end.http_status == 0);
}

TEST_CASE("a name that does not exist is unreachable") {
  auto end = one_call(at("http://does-not-exist.invalid:9/v1"));
  CHECK(end.what == fault::unreachable);
  CHECK(end.retryable);
}

TEST_CASE("silence before the first piece is timed out") {
  for (bool after_role : {false, true}) {
    fake_script s;
    s.raw = !after_role;
    if (after_role) s.steps = {{0, role_chunk()}};
    s.end = fake_end::hang;
    fake_model fake(always(s));
    auto options = at(fake.url());
    options.first_piece_timeout_ms = 50;
    auto end = one_call(options);
    CHECK(end.what == fault::timed_out);
    CHECK(end.detail == "first piece");
    CHECK(end.retryable);
    CHECK(fake.wait([](const fake_counts& n) { return n.closed_early == 1; }));
  }
}

TEST_CASE("silence in the middle is timed out, also when comments go on coming") {
  auto script = says({{0, text_chunk("a")}}, fake_end::hang);
  SECTION("nothing comes") {}
  SECTION("comments come") {
    script.generate = [](std::size_t i, fake_step& step) {
      step = i == 0 ? fake_step{0, text_chunk("a")} : fake_step{10, ": still here\n\n"};
      return true;
    };
  }
  fake_model fake(always(script));
  auto options = at(fake.url());
  options.idle_timeout_ms = 60;
  auto end = one_call(options);
  CHECK(end.what == fault::timed_out);
  CHECK(end.detail == "idle");
  CHECK(end.retryable);
  CHECK(fake.wait([](const fake_counts& n) { return n.closed_early == 1; }));
}

TEST_CASE("an exception in one call leaves the others alone, and its time limit ends that call") {
  fake_model fake(always(says({{0, text_chunk("a")}}, fake_end::hang)));
  auto options = at(fake.url());
  options.first_piece_timeout_ms = 60;
  options.idle_timeout_ms = 60;
  network on(1);
  auto p = make_provider(options, on);
  told first, second;
  auto events = first.take();
  events.pieces = [](const std::vector<std::string>&) { throw std::runtime_error("no memory, say"); };
  auto c = p->start(ask("q"), std::move(events));
  CHECK(first.end().what == fault::timed_out);
  auto d = p->start(ask("q"), second.take());
  CHECK(second.end().what == fault::timed_out);
  CHECK(second.text() == "a");
}

TEST_CASE("an exception in a demonstration does not keep it from its end") {
  maru::config::provider_settings options;
  options.name = "p";
  options.kind = "demo";
  options.demo_delay_ms = 1;
  network on(1);
  auto p = make_provider(options, on);
  told t;
  auto events = t.take();
  events.pieces = [thrown = false](const std::vector<std::string>&) mutable {
    if (!std::exchange(thrown, true)) throw std::runtime_error("no memory, say");
  };
  auto c = p->start(ask("q"), std::move(events));
  CHECK(t.end().what == fault::none);
}

TEST_CASE("a cut in the middle is a cut, orderly or not, and what came before it was told") {
  for (auto how : {fake_end::cut, fake_end::reset, fake_end::finish}) {
    fake_model fake(always(says({{0, text_chunk("a")}, {20, text_chunk("b")}, {20, ""}}, how)));
    network on(1);
    told t;
    auto c = make_provider(at(fake.url()), on)->start(ask("q"), t.take());
    auto end = t.end();
    CHECK(end.what == fault::cut);
    CHECK(end.retryable);
    CHECK(end.finish.empty());
    CHECK(t.text() == "ab");
    CHECK(end.usage.estimated);
  }
}

TEST_CASE("a connection closed before any reply is a cut, with one request made") {
  fake_script s;
  s.raw = true;
  s.end = fake_end::cut;
  fake_model fake(always(s));
  CHECK(one_call(at(fake.url())).what == fault::cut);
  CHECK(fake.counts().requests == 1);
}

TEST_CASE("garbage instead of HTTP, of events or of chunks is no stream") {
  fake_script raw;
  raw.raw = true;
  raw.steps = {{0, "\x01\x02 garbage \r\n\r\n"}};
  for (const auto& script : {raw, says({{0, "no events here\n\n"}}), says({{0, "data: {broken\n\n"}}),
                             says({{0, "no line end at all"}})}) {
    auto end = one_call(script);
    CHECK(end.what == fault::not_a_stream);
    CHECK(end.retryable);
  }
}

// When all of it came with one read it was taken for a stream: the network decided.
TEST_CASE("what begins as no stream does is none, however it is cut") {
  const auto data = text_chunk("a") + finish_chunk();
  CHECK(one_call(says({{0, "status: ok\n" + data}})).what == fault::not_a_stream);
  CHECK(one_call(says({{0, "status: ok\n"}, {20, data}})).what == fault::not_a_stream);
  CHECK(one_call(says({{0, ": comment\nretry: 5\nstatus: ok\n" + data}})).what == fault::none);
}

TEST_CASE("HTML or JSON with status 200 is no stream") {
  auto html = says({{0, "<html>sign in</html>"}});
  html.headers = {"Content-Type: text/html; charset=utf-8"};
  auto json = says({{0, R"({"error":{"code":"model_loading"}})"}});
  json.headers = {"Content-Type: application/JSON"};
  CHECK(one_call(html).what == fault::not_a_stream);
  CHECK(one_call(html).retryable);
  CHECK(one_call(json).what == fault::not_a_stream);
  CHECK(one_call(json).detail == "not an event stream, status 200, model_loading");
}

TEST_CASE("a stream without content type is taken for what it is") {
  auto script = says({{0, text_chunk("a") + finish_chunk()}});
  script.headers = {};
  CHECK(one_call(script).what == fault::none);
}

TEST_CASE("429 is tried again when the provider says") {
  auto script = says({{0, R"({"error":{"message":"slow down","code":"rate_limit_exceeded"}})"}});
  script.status = 429;
  script.headers = {"Content-Type: application/json", "Retry-After: 3"};
  auto end = one_call(script);
  CHECK(end.what == fault::status);
  CHECK(end.http_status == 429);
  CHECK(end.retryable);
  CHECK(end.retry_after == std::chrono::seconds(3));
  CHECK(end.detail == "status 429, rate_limit_exceeded");
}

TEST_CASE("5xx and 408 are tried again, other statuses and redirects not") {
  auto with = [](int status) {
    auto script = says({{0, "oh"}});
    script.status = status;
    script.headers = {"Location: http://127.0.0.1:1/"};
    return one_call(script);
  };
  for (int status : {408, 500, 503, 529})
    CHECK(with(status).retryable);
  for (int status : {301, 307, 400, 401, 404}) {
    auto end = with(status);
    CHECK(end.what == fault::status);
    CHECK(end.http_status == status);
    CHECK_FALSE(end.retryable);
  }
}

TEST_CASE("an error's detail holds neither key nor conversation") {
  auto script = says(
      {{0, R"({"error":{"message":"key sk-secret and my question","code":"bad sk-secret","type":"auth"}})"}});
  script.status = 401;
  auto end = one_call(script);
  CHECK(end.detail == "status 401, auth");
}

TEST_CASE("an error body that never ends does not hold the call") {
  fake_script script;
  script.status = 500;
  script.generate = [](std::size_t, fake_step& step) {
    step = {1, std::string(1000, 'x')};
    return true;
  };
  auto end = one_call(script);
  CHECK(end.what == fault::status);
  CHECK(end.http_status == 500);
}

TEST_CASE("an error inside the stream ends the call and may be tried again") {
  auto data = one_call(
      says({{0, text_chunk("a")}, {0, sse_data(R"({"error":{"code":"server_error","message":"x"}})")}}));
  CHECK(data.what == fault::in_stream);
  CHECK(data.detail == "server_error");
  CHECK(data.retryable);
  auto named = one_call(says({{0, "event: error\ndata: boom\n\n"}}));
  CHECK(named.what == fault::in_stream);
}

TEST_CASE("[DONE] without a finish reason is a stop, a finish reason without [DONE] is enough") {
  auto done = one_call(says({{0, text_chunk("a") + done_event()}}));
  CHECK(done.what == fault::none);
  CHECK(done.finish == "stop");
  auto finish = one_call(says({{0, text_chunk("a") + finish_chunk("length")}}));
  CHECK(finish.what == fault::none);
  CHECK(finish.finish == "length");
  auto reset = one_call(says({{0, text_chunk("a") + finish_chunk()}, {20, ""}}, fake_end::reset));
  CHECK(reset.what == fault::none);
  auto unclosed = one_call(says({{0, text_chunk("a") + "data: [DONE]"}}));
  CHECK(unclosed.what == fault::none);
}

TEST_CASE("a stream left open after its finish reason ends well by itself") {
  auto end = one_call(says({{0, text_chunk("a") + finish_chunk()}}, fake_end::hang));
  CHECK(end.what == fault::none);
  CHECK(end.finish == "stop");
}

TEST_CASE("a line beyond its bound ends the call") {
  auto end = one_call(
      says({{0, "data: " + std::string(maru::limits::provider_line_bytes + 1, 'x')}}, fake_end::hang));
  CHECK(end.what == fault::too_large);
}

TEST_CASE("an answer beyond its bound is cut there, at a character, and counts as ended by length") {
  std::string block;
  while (block.size() < 300'000)
    block += "가나다";
  fake_script script;
  script.generate = [chunk = text_chunk(block)](std::size_t, fake_step& step) {
    step = {0, chunk};
    return true;
  };
  fake_model fake(always(script));
  network on(1);
  told t;
  auto c = make_provider(at(fake.url()), on)->start(ask("q"), t.take());
  auto end = t.end();
  CHECK(end.what == fault::none);
  CHECK(end.finish == "length");
  CHECK(t.text().size() <= maru::limits::answer_text_bytes);
  CHECK(t.text().size() > maru::limits::answer_text_bytes - 3);
  CHECK(t.text().size() % 3 == 0);
  CHECK(fake.wait([](const fake_counts& n) { return n.closed_early == 1; }));
}

TEST_CASE("a server that takes the connection but not the handshake is timed out") {
  // A plain server waits for the rest of what it takes for a request.
  fake_model fake(5, 0);
  auto options = at("https://127.0.0.1:" + std::to_string(fake.port()) + "/v1");
  options.connect_timeout_ms = 60;
  auto end = one_call(options);
  CHECK(end.what == fault::timed_out);
  CHECK(end.detail == "connect");
}
