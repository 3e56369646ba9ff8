#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"
#include "tests/support/numbers.hpp"

using namespace maru;
using namespace maru::tests;
namespace api = maru::actors::api;

namespace {

struct watched : net_rig {
  watched() {
    front.on_call = [](const std::string& token, const api::request& what) -> api::reply {
      if (!std::holds_alternative<api::may_observe>(what)) return refusal{code::not_found, "", 0};
      if (token == "admin") return api::nothing{};
      return refusal{token == "user" ? code::forbidden : code::unauthenticated, "", 0};
    };
  }
  http_reply scrape(headers with = {}) {
    with.push_back(named_here);
    return get("/metrics", with);
  }
  numbers read() { return numbers{scrape().body}; }
};

const headers by_proxy{{"X-Forwarded-For", "203.0.113.7"}};

headers by_proxy_with(const std::string& token) { return {by_proxy.front(), bearer(token)}; }

} // namespace

// --- who may -------------------------------------------------------------------------------------------

TEST_CASE("this machine reads the numbers without a token, as Prometheus wants them", "[net][metrics]") {
  watched rig;
  rig.start();
  const auto got = rig.scrape();
  CHECK(got.status == 200);
  CHECK(got.field("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(got.field("cache-control") == "no-store");
  CHECK(numbers{got.body}.value(R"(maru_actors{actor="store"})") == 1);
  CHECK(http_request(rig.address, "HEAD", "/metrics", {named_here}).status == 200);
}

TEST_CASE("what came through a proxy is not taken for this machine", "[net][metrics]") {
  watched rig;
  rig.start();
  const auto* const name = GENERATE("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
                                    "X-Real-IP", "Via", "x-forwarded-for");
  CAPTURE(name);
  const auto got = rig.scrape({{name, "x"}});
  CHECK(got.status == 404);
  CHECK(got.body.find("maru_") == std::string::npos);
}

TEST_CASE("nor is what calls this machine by another name: a page may point its own name here",
          "[net][metrics]") {
  watched rig;
  rig.start();
  const auto ask = [&](const std::string& host) {
    http_client client(rig.address);
    client.send("GET /metrics HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return client.reply().status;
  };
  CHECK(ask("chat.example.org") == 404);
  CHECK(ask("localhost.example.org:8080") == 404);
  CHECK(ask("127.0.0.1.example.org") == 404);
  CHECK(ask("localhost:8080") == 200);
  CHECK(ask("127.0.0.1") == 200);
  CHECK(ask("[::1]:8080") == 200);
}

TEST_CASE("nor is a target that names another authority, whatever Host says", "[net][metrics]") {
  watched rig;
  rig.start();
  http_client client(rig.address);
  client.send("GET http://chat.example.org/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.reply().status == 404);
}

TEST_CASE("a token of an administrator reads them from anywhere, others see nothing there",
          "[net][metrics]") {
  watched rig;
  rig.start();
  CHECK(rig.scrape(by_proxy_with("admin")).status == 200);
  CHECK(rig.scrape(by_proxy_with("user")).status == 404);
  CHECK(rig.scrape(by_proxy_with("guessed")).status == 404);
  CHECK(rig.scrape(by_proxy).status == 404);
}

TEST_CASE("the option opens them to all, or to nobody", "[net][metrics]") {
  watched rig;
  SECTION("all") {
    rig.settings.server.metrics = config::metrics_mode::all;
    rig.start();
    CHECK(rig.scrape(by_proxy).status == 200);
    CHECK(rig.scrape().status == 200);
  }
  SECTION("off") {
    rig.settings.server.metrics = config::metrics_mode::off;
    rig.start();
    CHECK(rig.scrape().status == 404);
    CHECK(rig.scrape(by_proxy_with("admin")).status == 404);
  }
}

TEST_CASE("guessing a token there costs what it costs elsewhere, and reading from here is free",
          "[net][metrics]") {
  watched rig;
  rig.settings.limits.requests_per_minute_per_address = 2;
  rig.start();
  for (int i = 0; i < 5; ++i)
    CHECK(rig.scrape().status == 200);
  CHECK(rig.scrape(by_proxy_with("one")).status == 404);
  CHECK(rig.scrape(by_proxy_with("two")).status == 404);
  CHECK(rig.scrape(by_proxy_with("three")).status == 429);
  CHECK(rig.scrape(by_proxy).status == 429);
  CHECK(rig.scrape().status == 200);
  CHECK(rig.read().value("maru_http_rate_limited_total") == 2);
}

// --- the cost ------------------------------------------------------------------------------------------

TEST_CASE("only so many scrapes are under way at once", "[net][metrics]") {
  watched rig;
  rig.threads = 1; // the list of observers of the fake has no lock
  rig.front.hold_observers = true;
  rig.start();
  std::vector<http_client> all;
  for (std::size_t i = 0; i <= limits::scrapes_at_once; ++i)
    REQUIRE(all.emplace_back(rig.address).send(http_text("GET", "/metrics", {named_here})));
  std::string refused; // one of them, whichever came last
  for (std::size_t i = 0; refused.empty(); i = (i + 1) % all.size())
    all[i].link().receive(refused, std::chrono::milliseconds{20});
  CHECK(refused.find("HTTP/1.1 503") == 0);
  CHECK(rig.get("/healthz").status == 200); // after it the others have asked
  rig.front.hold_observers = false;
  const auto held = std::exchange(rig.front.observers, {});
  REQUIRE(held.size() == limits::scrapes_at_once);
  for (const auto& tell : held)
    tell(rig.front.seen);
  std::size_t answered = 0;
  for (auto& one : all) {
    std::string got;
    if (one.link().receive(got, std::chrono::milliseconds{500}) > 0) answered += got.find("200") == 9 ? 1 : 0;
  }
  CHECK(answered == limits::scrapes_at_once);
}

TEST_CASE("when nobody inside can tell, that is said", "[net][metrics]") {
  watched rig;
  rig.front.seen.clear();
  rig.start();
  for (std::size_t i = 0; i < 2 * limits::scrapes_at_once; ++i) { // and none of them stays under way
    const auto got = rig.scrape();
    CHECK(got.status == 503);
    CHECK(got.body.find("overloaded") != std::string::npos);
  }
}

// --- what net/ counts ----------------------------------------------------------------------------------

TEST_CASE("requests are counted by route and class of status, whatever they name", "[net][metrics]") {
  watched rig;
  rig.files["index.html"] = "<p>";
  rig.start();
  rig.get(std::string{"/api/v1/rooms/"} + some_id, {bearer("x")});
  rig.get(std::string{"/api/v1/rooms/"} + other_id, {bearer("x")});
  rig.get("/api/v1/rooms/" + std::string(some_id), {});
  rig.get("/healthz");
  rig.get("/");
  rig.get("/no/such/thing");
  rig.get("/no/other/thing");
  rig.post("/healthz", "");
  const auto got = rig.read();
  const auto count = [&](const std::string& route, const std::string& status) {
    return got.value("maru_http_requests_total{route=\"" + route + "\",status=\"" + status + "\"}");
  };
  CHECK(count("GET /api/v1/rooms/{id}", "4xx") == 3);
  CHECK(count("GET /healthz", "2xx") == 1);
  CHECK(count("static", "2xx") == 1);
  CHECK(count("other", "4xx") == 3);
  CHECK(got.value(R"(maru_http_request_seconds_count{route="other"})") == 3);
  CHECK(got.value(R"(maru_connections_accepted_total{kind="http"})") == 9);
  CHECK(got.value(R"(maru_received_bytes_total{kind="http"})") > 300);
  CHECK(got.value(R"(maru_sent_bytes_total{kind="http"})") > 300);
  CHECK(rig.scrape().body.find("thing") == std::string::npos);
}

TEST_CASE("open connections are counted by kind, and what waits for them", "[net][metrics]") {
  net_rig rig;
  rig.start();
  auto one = rig.socket(), two = rig.socket();
  rig.greet(one);
  rig.greet(two);
  const numbers got{rig.get("/metrics", {named_here}).body};
  CHECK(got.value(R"(maru_connections{kind="ws"})") == 2);
  CHECK(got.value(R"(maru_connections{kind="http"})") == 1); // the one that asks
  CHECK(got.value(R"(maru_connections{kind="sse"})") == 0);
  CHECK(got.value("maru_outbox_bytes") == 0);
  CHECK(got.value(R"(maru_http_requests_total{route="GET /ws",status="1xx"})") == 2);
  CHECK(got.value(R"(maru_frames_received_total{type="hello"})") == 2);
}

TEST_CASE("what a slow reader leaves waiting is seen", "[net][metrics]") {
  net_rig rig;
  rig.start();
  auto slow = rig.socket();
  const auto connection = rig.greet(slow);
  for (int i = 0; i < 7; ++i)
    connection->push(text_frame(std::string(1'000'000, 'x')));
  const numbers got{rig.get("/metrics", {named_here}).body};
  CHECK(got.value("maru_outbox_bytes") > 0);
  CHECK(got.value("maru_outbox_bytes") == got.value("maru_outbox_largest_bytes"));
}

TEST_CASE("frames are counted as they come and go", "[net][metrics]") {
  net_rig rig;
  rig.start();
  auto one = rig.socket();
  const auto connection = rig.greet(one);
  one.send(R"({"type":"ping","t":1})");
  one.send(R"({"type":"dance"})");
  one.send(std::string{R"({"type":"open","room":")"} + some_id + "\"}");
  REQUIRE(rig.front.session->wait_taken(1));
  connection->push(text_frame("{}"));
  for (int i = 0; i < 3; ++i)
    one.receive();
  const auto& counts = *rig.counts;
  const auto in = [&](frame_type type) {
    return counts.value(metric::frames_received, static_cast<std::size_t>(type));
  };
  CHECK(in(frame_type::hello) == 1);
  CHECK(in(frame_type::ping) == 1);
  CHECK(in(frame_type::refused) == 1);
  CHECK(in(frame_type::open) == 1);
  CHECK(in(frame_type::send) == 0);
  CHECK(counts.value(metric::commands_refused, static_cast<std::size_t>(code::unknown_type)) == 1);
  const numbers got{rig.get("/metrics", {named_here}).body};
  CHECK(got.value("maru_frames_sent_total") == 3); // pong, error, the one pushed
  CHECK(got.value(R"(maru_sent_bytes_total{kind="ws"})") > 0);
}

TEST_CASE("sockets that end are counted by why", "[net][metrics]") {
  net_rig rig;
  rig.start();
  const auto count = [&](const std::string& why) {
    return rig.counts->value(metric::websockets_closed, rig.counts->at(metric::websockets_closed, why));
  };
  const auto wait_for = [&](const std::string& why) {
    for (int i = 0; i < 500 && count(why) == 0; ++i)
      rig.get("/healthz"); // which takes its time
    return count(why);
  };
  SECTION("closed by the client") {
    {
      auto one = rig.socket();
      rig.greet(one);
      one.close(1000);
      one.wait_closed();
    }
    CHECK(wait_for("peer") == 1);
  }
  SECTION("lost") {
    {
      auto one = rig.socket();
      rig.greet(one);
      one.link().cut();
    }
    CHECK(wait_for("lost") == 1);
  }
  SECTION("closed by the server") {
    {
      auto one = rig.socket();
      rig.greet(one)->close(close_code::taken_over);
      one.wait_closed();
    }
    CHECK(wait_for("4409") == 1);
  }
  CHECK(count("peer") + count("lost") + count("4409") == 1);
}
