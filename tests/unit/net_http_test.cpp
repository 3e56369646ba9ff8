#include <array>
#include <filesystem>
#include <fstream>
#include <future>

#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using nlohmann::json;
namespace api = maru::actors::api;

namespace {

const std::string room_path = std::string{"/api/v1/rooms/"} + some_id;

api::signed_in a_sign_in() {
  api::signed_in out;
  out.user.id = id_of(some_id);
  out.user.username = "ada";
  out.user.role = "admin";
  out.user.settings = R"({"theme":"dark"})";
  out.access_token = "access";
  out.expires_in = 900;
  out.refresh_token = "refresh";
  return out;
}

std::string why_not(net_rig& rig) {
  try {
    rig.start();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "it started";
}

void check_problem(const http_reply& got, int status, const std::string& code) {
  CHECK(got.status == status);
  CHECK(got.field("content-type") == "application/problem+json");
  CHECK(got.has("x-request-id"));
  const auto body = json::parse(got.body, nullptr, false);
  REQUIRE(body.is_object());
  CHECK(body.value("code", "") == code);
  CHECK(body.value("status", 0) == status);
  CHECK(body.contains("type"));
  CHECK(body.contains("title"));
  CHECK(body.contains("detail"));
}

} // namespace

TEST_CASE("health and readiness are told", "[net][http]") {
  net_rig rig;
  rig.start();
  CHECK(rig.get("/healthz").status == 200);
  CHECK(rig.get("/readyz").status == 200);
  rig.front.is_degraded = true;
  const auto degraded = rig.get("/readyz");
  CHECK(degraded.status == 200);
  CHECK(json::parse(degraded.body)["status"] == "degraded");
  rig.front.is_ready = false;
  const auto not_ready = rig.get("/readyz");
  check_problem(not_ready, 503, "overloaded");
  CHECK(not_ready.has("retry-after"));
}

TEST_CASE("a request that a proxy might read otherwise is refused and its connection closed", "[net][http]") {
  net_rig rig;
  rig.start();
  const std::string head = GENERATE(
      as<std::string>{}, "Host: x\r\nTransfer-Encoding: gzip\r\n",
      "Host: x\r\nTransfer-Encoding: xchunked\r\n", "Host: x\r\nTransfer-Encoding: chunked, gzip\r\n",
      "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
      "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
      "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
      "Host: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n", "", "Host: x\r\nHost: y\r\n");
  CAPTURE(head);
  http_client client{rig.address};
  client.send("POST /api/v1/logout HTTP/1.1\r\n" + head + "\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.reply().status == 400);
  CHECK(client.closed_by_peer());
}

TEST_CASE("an upgrade without a key or of another version is refused in words", "[net][http]") {
  net_rig rig;
  rig.start();
  const std::pair<std::string, std::string> connection{"Connection", "Upgrade"},
      upgrade{"Upgrade", "websocket"};
  const auto no_key = rig.get("/ws", {connection, upgrade, {"Sec-WebSocket-Version", "13"}});
  check_problem(no_key, 400, "invalid_field");
  const auto old = rig.get("/ws", {connection,
                                   upgrade,
                                   {"Sec-WebSocket-Version", "12"},
                                   {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}});
  check_problem(old, 400, "invalid_field");
  CHECK(old.field("sec-websocket-version") == "13");
}

TEST_CASE("a connection is kept, and pipelined requests are answered in order", "[net][http]") {
  net_rig rig;
  rig.start();
  http_client client{rig.address};
  CHECK(client.request("GET", "/healthz").status == 200);
  std::string many;
  for (int i = 0; i < 50; ++i)
    many += http_text(i % 2 == 0 ? "GET" : "POST", "/healthz", {{"X-Request-Id", "n-" + std::to_string(i)}});
  client.send(many);
  for (int i = 0; i < 50; ++i) {
    const auto got = client.reply();
    CHECK(got.status == (i % 2 == 0 ? 200 : 405));
    CHECK(got.field("x-request-id") == "n-" + std::to_string(i));
  }
  CHECK(client.request("GET", "/healthz", {{"Connection", "close"}}).field("connection") == "close");
  CHECK(client.closed_by_peer());
}

TEST_CASE("a request may come byte by byte, and its body in chunks", "[net][http]") {
  net_rig rig;
  rig.front.on_call = [](const std::string&, const api::request& what) -> api::reply {
    const auto* got = std::get_if<api::login>(&what);
    return got != nullptr && got->username == "ada" ? api::reply{a_sign_in()}
                                                    : refusal{code::internal, "", 0};
  };
  rig.start();
  http_client client{rig.address};
  const std::string body = R"({"username":"ada","password":"x"})";
  const auto text = http_text("POST", "/api/v1/login", {}, body);
  for (const char c : text)
    client.send({&c, 1});
  CHECK(client.reply().status == 200);
  client.send(http_text("POST", "/api/v1/login", {{"Transfer-Encoding", "chunked"}}));
  client.send("5\r\n" + body.substr(0, 5) + "\r\n");
  client.send("1c\r\n" + body.substr(5) + "\r\n0\r\n\r\n");
  CHECK(client.reply().status == 200);
}

TEST_CASE("100-continue is answered before the body comes", "[net][http]") {
  net_rig rig;
  rig.start();
  http_client client{rig.address};
  client.send(http_text("POST", "/api/v1/login", {{"Expect", "100-continue"}, {"Content-Length", "2"}}));
  CHECK(client.reply().status == 100);
  client.send("{}");
  check_problem(client.reply(), 400, "invalid_field");
}

TEST_CASE("what is not there is 404 for everybody, a wrong method is 405", "[net][http]") {
  net_rig rig;
  rig.files["index.html"] = "<html>";
  rig.start();
  const auto token = GENERATE(std::string{""}, std::string{"bad"}, std::string{"good"});
  const headers with = token.empty() ? headers{} : headers{bearer(token)};
  for (const auto* path : {"/api/v1/nothing", "/api", "/api/v2/me", "/api/v1/rooms/not-an-id",
                           "/api/v1/rooms/{}", "/api/v1/me/", "/metrics/x", "/missing.js"}) {
    CAPTURE(path);
    check_problem(rig.get(path, with), 404, "not_found");
  }
  const auto wrong = http_request(rig.address, "DELETE", "/api/v1/me", with);
  check_problem(wrong, 405, "method_not_allowed");
  CHECK(wrong.field("allow") == "GET, HEAD, PATCH");
  CHECK(rig.post("/ws", "").status == 405);
  CHECK(rig.get("/ws").status == 426);
}

TEST_CASE("a slash that is hidden in a path is refused, in a query it is a slash", "[net][http]") {
  net_rig rig;
  rig.files["index.html"] = "<html>";
  rig.start();
  for (const auto* path : {"/api%2fv1/me", "/api/v1%2Fme", "/rooms%2f..", "/%2fhealthz"}) {
    CAPTURE(path);
    CHECK(rig.get(path).status == 400);
  }
  CHECK(rig.get("/?from=%2Frooms").status == 200);
}

TEST_CASE("who is not signed in is 401", "[net][http]") {
  net_rig rig;
  rig.start();
  for (const headers& with : {headers{}, headers{bearer("bad")}, headers{{"Authorization", "Basic good"}}})
    check_problem(rig.get("/api/v1/me", with), 401, "unauthenticated");
  check_problem(rig.post(room_path + "/messages", "{", {}), 401, "unauthenticated");
}

TEST_CASE("a body that is not JSON is invalid_json, whatever it calls itself", "[net][http]") {
  net_rig rig;
  rig.start();
  for (const auto* type : {"application/json", "text/plain", "application/x-www-form-urlencoded"})
    for (const auto* body : {"", "username=ada", "[]", "\"x\"", "{", "\xff"}) {
      CAPTURE(type, body);
      check_problem(rig.post("/api/v1/login", body, {{"Content-Type", type}}), 400, "invalid_json");
    }
  check_problem(rig.post("/api/v1/login", std::string(100'000, '[')), 400, "invalid_json");
}

TEST_CASE("too much is refused, and the connection ends in order", "[net][http]") {
  net_rig rig;
  rig.start();
  SECTION("a body, declared") {
    check_problem(rig.post("/api/v1/login", std::string(limits::http_body_bytes + 1, ' ')), 413, "too_large");
  }
  SECTION("a body in chunks") {
    http_client client{rig.address};
    client.send(http_text("POST", "/api/v1/login", {{"Transfer-Encoding", "chunked"}}));
    const std::string chunk = "10000\r\n" + std::string(65'536, ' ') + "\r\n";
    for (int i = 0; i < 17; ++i)
      client.send(chunk);
    check_problem(client.reply(), 413, "too_large");
    CHECK(client.closed_by_peer());
  }
  SECTION("a header") {
    check_problem(rig.get("/healthz", {{"X-Long", std::string(limits::http_header_bytes, 'x')}}), 431,
                  "too_large");
  }
  SECTION("nonsense") {
    http_client client{rig.address};
    client.send("\x16\x03\x01\x02 hello\r\n\r\n");
    check_problem(client.reply(), 400, "invalid_field");
    CHECK(client.closed_by_peer());
  }
  SECTION("two lengths") {
    http_client client{rig.address};
    client.send(
        http_text("POST", "/api/v1/login", {{"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}));
    CHECK(client.reply().status == 400);
    CHECK(client.closed_by_peer());
  }
  CHECK(rig.get("/healthz").status == 200);
}

TEST_CASE("a sane request id comes back, any other is replaced", "[net][http]") {
  net_rig rig;
  rig.start();
  CHECK(rig.get("/healthz", {{"X-Request-Id", "trace_1.a-B"}}).field("x-request-id") == "trace_1.a-B");
  for (const auto& odd : {std::string(65, 'x'), std::string{"a b"}, std::string{"<script>"}}) {
    const auto got = rig.get("/healthz", {{"X-Request-Id", odd}}).field("x-request-id");
    CHECK(uuid::parse(got));
  }
}

TEST_CASE("signing in gives tokens, and a cookie to browsers", "[net][http]") {
  net_rig rig;
  rig.settings.server.public_url = "https://chat.example";
  rig.front.on_call = [](const std::string&, const api::request&) -> api::reply { return a_sign_in(); };
  rig.start();
  const std::string body = R"({"username":"ada","password":"12345678"})";
  const auto plain = rig.post("/api/v1/signup", body);
  CHECK(plain.status == 201);
  CHECK_FALSE(plain.has("set-cookie"));
  const auto got = json::parse(plain.body);
  CHECK(got["user"]["id"] == some_id);
  CHECK(got["user"]["settings"] == json{{"theme", "dark"}});
  CHECK_FALSE(got["user"].contains("password_hash"));
  CHECK(got["access_token"] == "access");
  CHECK(got["expires_in"] == 900);
  CHECK(got["refresh_token"] == "refresh");
  const auto browser = rig.post("/api/v1/login", body, {{"Origin", "https://chat.example"}});
  CHECK(browser.status == 200);
  const auto cookie = browser.field("set-cookie");
  CHECK(cookie.find("__Secure-maru_refresh=refresh; HttpOnly; SameSite=Strict; Path=/api/v1; ") == 0);
  CHECK(cookie.find("; Secure") != std::string::npos);
  CHECK(browser.field("cache-control") == "no-store");
}

TEST_CASE("refresh and logout take the token from the cookie, too", "[net][http]") {
  net_rig rig;
  std::string seen;
  rig.front.on_call = [&](const std::string&, const api::request& what) -> api::reply {
    if (const auto* got = std::get_if<api::refresh>(&what)) {
      seen = got->refresh_token + "/" + got->nonce;
      return a_sign_in();
    }
    seen = std::get<api::logout>(what).refresh_token;
    return api::nothing{};
  };
  rig.start();
  const headers cookie{{"Cookie", "other=1; maru_refresh=from-cookie"}};
  CHECK(rig.post("/api/v1/refresh", "", cookie).status == 200);
  CHECK(seen == "from-cookie/");
  CHECK(rig.post("/api/v1/refresh", R"({"refresh_token":"from-body","nonce":"n"})").status == 200);
  CHECK(seen == "from-body/n");
  const auto out = rig.post("/api/v1/logout", "", cookie);
  CHECK(out.status == 204);
  CHECK(out.body.empty());
  CHECK(seen == "from-cookie");
  CHECK(out.field("set-cookie").find("Max-Age=0") != std::string::npos);
}

TEST_CASE("rooms, events and posts have the shape of the contract", "[net][http]") {
  net_rig rig;
  const actors::event_fact event{3,      id_of(other_id), "message", 0,
                                 "user", id_of(some_id),  "Ada",     R"({"text":"x"})"};
  rig.front.on_call = [&](const std::string&, const api::request& what) -> api::reply {
    api::room_view room;
    room.room.id = id_of(some_id);
    room.room.title = "T";
    room.room.agents = {"maru"};
    room.room.head = 3;
    room.last = event;
    room.unread = 2;
    room.read = 1;
    room.room.active_at = 1;
    room.members = 1;
    if (std::holds_alternative<api::list_rooms>(what)) return api::rooms_view{{room}, "next"};
    if (std::holds_alternative<api::get_room>(what)) return room;
    if (std::holds_alternative<api::create_room>(what)) return room;
    if (std::holds_alternative<api::get_events>(what)) return api::events_view{{event}, 3, 1};
    if (std::holds_alternative<api::list_agents>(what)) return api::agents_view{{{"maru", "m"}}};
    return api::posted{id_of(other_id), 3, false, {{id_of(some_id), "maru"}}};
  };
  rig.start();
  const headers me{bearer("good")};
  const json last{{"room", some_id},
                  {"seq", 3},
                  {"id", other_id},
                  {"kind", "message"},
                  {"at", "1970-01-01T00:00:00.000Z"},
                  {"author", {{"kind", "user"}, {"id", some_id}, {"name", "Ada"}}},
                  {"data", {{"text", "x"}}}};
  const json room{{"id", some_id},
                  {"title", "T"},
                  {"agents", {"maru"}},
                  {"created_at", "1970-01-01T00:00:00.000Z"},
                  {"head", 3},
                  {"floor", 1},
                  {"last", last},
                  {"unread", 2},
                  {"members", 1},
                  {"read", 1},
                  {"active_at", "1970-01-01T00:00:00.001Z"}};
  CHECK(json::parse(rig.get("/api/v1/rooms", me).body) ==
        json{{"rooms", json::array({room})}, {"next", "next"}});
  CHECK(json::parse(rig.get(room_path, me).body) == room);
  CHECK(rig.post("/api/v1/rooms", "", me).status == 201);
  CHECK(json::parse(rig.get(room_path + "/events?after=0", me).body) ==
        json{{"events", json::array({last})}, {"head", 3}, {"floor", 1}});
  CHECK(json::parse(rig.get("/api/v1/agents", me).body) ==
        json{{"agents", json::array({json{{"name", "maru"}, {"model", "m"}}})}});
  const auto posted =
      rig.post(room_path + "/messages", R"({"id":")" + std::string{other_id} + R"(","text":"x"})", me);
  CHECK(posted.status == 202);
  CHECK(json::parse(posted.body) ==
        json{{"event", other_id},
             {"seq", 3},
             {"duplicate", false},
             {"answers", json::array({json{{"answer", some_id}, {"agent", "maru"}}})}});
  CHECK(rig.post(room_path + "/answers/" + other_id + "/stop", R"({"id":")" + std::string{other_id} + R"("})",
                 me)
            .status == 202);
  CHECK(rig.post(room_path + "/answers/" + other_id + "/retry",
                 R"({"id":")" + std::string{other_id} + R"("})", me)
            .status == 202);
  check_problem(rig.get(room_path + "/events?limit=501", me), 400, "invalid_field");
  const auto head = http_client{rig.address}.request("HEAD", room_path, me);
  CHECK(head.status == 200);
  CHECK(head.field("content-length") != "0");
}

TEST_CASE("a refusal that passes says when to come again", "[net][http]") {
  net_rig rig;
  rig.front.on_call = [](const std::string&, const api::request&) -> api::reply {
    return refusal{code::rate_limited, "", 1500};
  };
  rig.start();
  const auto got = rig.get("/api/v1/me", {bearer("x")});
  check_problem(got, 429, "rate_limited");
  CHECK(got.field("retry-after") == "2");
}

TEST_CASE("the browser client is served, its routes fall back to index.html, nothing else does",
          "[net][http]") {
  net_rig rig;
  rig.files["index.html"] = "<html>";
  rig.files["app.js"] = "code();";
  rig.start();
  for (const auto* path : {"/", "/login", "/rooms/01890a5d-ac96-774b-bcce-b302099a8057", "/?x=1"}) {
    CAPTURE(path);
    const auto got = rig.get(path);
    CHECK(got.status == 200);
    CHECK(got.body == "<html>");
    CHECK(got.field("content-security-policy").find("frame-ancestors 'none'") != std::string::npos);
    CHECK(got.field("x-content-type-options") == "nosniff");
    CHECK(got.has("referrer-policy"));
  }
  const auto script = rig.get("/app.js");
  CHECK(script.field("content-type") == "text/javascript; charset=utf-8");
  CHECK(rig.get("/app.js", {{"If-None-Match", script.field("etag")}}).status == 304);
  CHECK(rig.get("/app.js", {{"If-None-Match", "\"other\""}}).status == 200);
  const auto head = http_client{rig.address}.request("HEAD", "/app.js");
  CHECK(head.field("content-length") == "7");
  CHECK(rig.post("/app.js", "").status == 405);
  for (const auto* path :
       {"/missing.js", "/api/x", "/healthz/x", "/a/b.css", "/rooms/x.js", "/API/v1/me", "/etc/passwd"})
    CHECK(rig.get(path).status == 404);
  for (const auto* path : {"/../etc/passwd", "/%2e%2e/etc/passwd", "/..%2fetc/passwd", "/%252e%252e/x",
                           "/a/..%5c..", "/.%2e/x"}) {
    CAPTURE(path);
    CHECK(rig.get(path).status == 400);
  }
}

TEST_CASE("a directory can take the place of the built-in client, and off means none", "[net][http]") {
  net_rig rig;
  rig.files["index.html"] = "built in";
  const auto folder = std::filesystem::temp_directory_path() / ("maru-net-test-" + uuid::v7(0).str());
  std::filesystem::create_directories(folder / "inner");
  std::ofstream{folder / "index.html"} << "mine";
  std::ofstream{folder / "inner" / "x.css"} << "css";
  SECTION("a directory") {
    rig.settings.server.static_dir = folder.string();
    rig.start();
    CHECK(rig.get("/").body == "mine");
    CHECK(rig.get("/inner/x.css").field("content-type") == "text/css; charset=utf-8");
    CHECK(rig.get("/inner/../index.html").status == 400);
  }
  SECTION("off") {
    rig.settings.server.static_dir = "off";
    rig.start();
    CHECK(rig.get("/").status == 404);
  }
  SECTION("a wrong one") {
    rig.settings.server.static_dir = (folder / "inner").string();
    CHECK(why_not(rig).find("index.html") != std::string::npos);
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("a listener says what is wrong with its address", "[net][http]") {
  net_rig rig;
  rig.start();
  net_rig second;
  second.settings.server.listen = {rig.address};
  CHECK(why_not(second).find(rig.address) != std::string::npos);
  net_rig third;
  third.settings.server.listen = {"nonsense"};
  CHECK(why_not(third).find("nonsense") != std::string::npos);
  net_rig both;
  both.settings.server.listen = {"127.0.0.1:0", "localhost:0"};
  both.start();
  REQUIRE(both.server->addresses().size() == 2);
  for (const auto& one : both.server->addresses())
    CHECK(http_request(one, "GET", "/healthz").status == 200);
}

TEST_CASE("idle and dawdling connections end when their time is up", "[net][http]") {
  net_rig rig;
  rig.threads = 1; // so that the last reply tells that the others were read
  rig.start();
  http_client idle{rig.address};
  CHECK(idle.request("GET", "/healthz").status == 200);
  http_client dawdling{rig.address};
  dawdling.send("GET /healthz HTTP/1.1\r\nX-Slow:");
  CHECK(rig.get("/healthz").status == 200);
  rig.time.move(limits::http_idle_timeout_ms + 1'000);
  CHECK(idle.closed_by_peer());
  CHECK(dawdling.closed_by_peer());
}

TEST_CASE("who reads a reply too slowly is cut off, however steadily", "[net][http]") {
  net_rig rig;
  rig.threads = 1; // so that another's reply tells that the worker went round
  rig.files["index.html"] = std::string(16'777'216, 'x');
  rig.start();
  http_client slow{rig.address};
  const int few = 32'768;
  ::setsockopt(slow.link().fd(), SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
  slow.send(http_text("GET", "/"));
  const auto& whole = rig.files["index.html"];
  const auto allowed = limits::write_timeout_ms + static_cast<std::int64_t>(whole.size()) * 1000 /
                                                      limits::http_read_bytes_per_second_least;
  std::string got;
  std::array<char, 12'288> some{}; // a second: below the rate
  const std::int64_t step = 1'000;
  for (std::int64_t passed = 0; passed <= allowed; passed += step) {
    const auto n = ::recv(slow.link().fd(), some.data(), some.size(), 0);
    if (n <= 0) break;
    got.append(some.data(), static_cast<std::size_t>(n));
    CHECK(rig.get("/healthz").status == 200);
    rig.time.move(step);
  }
  for (int tries = 0; rig.server->connections() > 0 && tries < 100'000; ++tries)
    rig.get("/healthz");
  while (slow.link().receive(got) > 0) {
  }
  CHECK_FALSE(slow.link().timed_out());
  CHECK(got.size() < whole.size());
}

TEST_CASE("draining ends idle connections and then is done", "[net][http]") {
  net_rig rig;
  rig.start();
  http_client idle{rig.address};
  CHECK(idle.request("GET", "/healthz").status == 200);
  std::promise<void> done;
  rig.server->drain([&] { done.set_value(); });
  CHECK(idle.closed_by_peer());
  CHECK(done.get_future().wait_for(patience) == std::future_status::ready);
  CHECK(rig.server->connections() == 0);
  CHECK_THROWS(http_client{rig.address});
}

TEST_CASE("a reply that comes when the server is gone hurts nobody", "[net][http]") {
  api::replied late;
  std::promise<void> asked;
  struct keeping final : actors::front {
    api::replied& late;
    std::promise<void>& asked;
    keeping(api::replied& l, std::promise<void>& a) : late(l), asked(a) {}
    void call(std::string, api::request, api::replied tell) override {
      late = std::move(tell);
      asked.set_value();
    }
    void hello(actors::connection_ptr, actors::identity, actors::hello_in) override {}
    void observe(actors::observed tell) override { tell({}); }
    [[nodiscard]] bool ready() const override { return true; }
    [[nodiscard]] bool degraded() const override { return false; }
  } front{late, asked};
  config::settings settings;
  settings.server.listen = {"127.0.0.1:0"};
  moved_clock time;
  driven_loops on{2};
  auto server = std::make_unique<net::server>(
      net::server_deps{front, settings, time, net::make_codec(settings, "1", "n"), {}, on.all()});
  server->start();
  http_client client{server->addresses().front()};
  client.send(http_text("GET", "/api/v1/me", {bearer("x")}));
  asked.get_future().wait();
  server.reset();
  CHECK(client.closed_by_peer());
  late(refusal{code::internal, "", 0});
  late = nullptr; // loops outlive all that was made on them
}
