// What browsers are told, and what pages of other origins may do.

#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using nlohmann::json;
namespace api = actors::api;

namespace {

const std::string listed = "https://app.example";
const std::string stranger = "https://evil.example";

struct origin_rig : net_rig {
  origin_rig() {
    settings.server.cors_origins = {"http://localhost:5173", listed};
    front.on_call = [this](const std::string& token, const api::request& what) -> api::reply {
      ++calls;
      if (std::holds_alternative<api::login>(what) || std::holds_alternative<api::refresh>(what)) {
        api::signed_in out;
        out.refresh_token = "fresh";
        return out;
      }
      if (std::holds_alternative<api::logout>(what)) return api::nothing{};
      if (token != "good") return refusal{code::unauthenticated, "", 0};
      return refusal{code::not_found, "", 0};
    };
  }
  http_reply ask_first(const std::string& path, const std::string& origin,
                       const std::string& method = "POST") {
    return http_request(address, "OPTIONS", path,
                        {{"Origin", origin},
                         {"Access-Control-Request-Method", method},
                         {"Access-Control-Request-Headers", "authorization,content-type"}});
  }
  std::atomic<int> calls{0};
};

bool names(const std::string& list, const std::string& one) { return list.find(one) != std::string::npos; }

const std::string somebody = R"({"username":"ada","password":"12345678"})";

} // namespace

TEST_CASE("a listed origin is told before it asks what it may ask", "[net][origin]") {
  origin_rig rig;
  rig.start();
  const auto got = rig.ask_first("/api/v1/rooms", listed);
  CHECK(got.status == 204);
  CHECK(got.body.empty());
  CHECK(got.field("access-control-allow-origin") == listed);
  CHECK(got.field("access-control-allow-credentials") == "true");
  CHECK(got.field("access-control-allow-methods") == "GET, HEAD, POST");
  for (const auto* name : {"Authorization", "Content-Type", "Last-Event-ID", "X-Request-Id"})
    CHECK(names(got.field("access-control-allow-headers"), name));
  CHECK(got.field("access-control-max-age") == std::to_string(limits::preflight_kept_seconds));
  CHECK(names(got.field("vary"), "Origin"));
  CHECK(names(rig.ask_first("/api/v1/me", listed, "PATCH").field("access-control-allow-methods"), "PATCH"));
  CHECK(rig.ask_first("/api/v1/nothing", listed).status == 404);
  CHECK(rig.calls == 0);
}

TEST_CASE("an origin that is not listed is told nothing, however near it comes", "[net][origin]") {
  origin_rig rig;
  rig.start();
  for (const auto& origin : {stranger, std::string{"null"}, std::string{"*"}, listed + ".evil.example",
                             std::string{"https://app.example:444"}, std::string{"http://app.example"},
                             std::string{"https://APP.example"}, std::string{"https://app.exampl"},
                             listed + ", " + stranger, listed + "/"}) {
    CAPTURE(origin);
    const auto first = rig.ask_first("/api/v1/rooms", origin);
    CHECK(first.status == 405);
    const auto got = rig.get("/api/v1/me", {{"Origin", origin}, bearer("good")});
    for (const auto* reply : {&first, &got}) {
      CHECK_FALSE(reply->has("access-control-allow-origin"));
      CHECK_FALSE(reply->has("access-control-allow-credentials"));
      CHECK(names(reply->field("vary"), "Origin"));
    }
  }
}

TEST_CASE("replies to a listed origin may be read, refusals too", "[net][origin]") {
  origin_rig rig;
  rig.settings.limits.requests_per_minute_per_address = 3;
  rig.start();
  const auto check = [&](const http_reply& got, int status) {
    CHECK(got.status == status);
    CHECK(got.field("access-control-allow-origin") == listed);
    CHECK(names(got.field("access-control-expose-headers"), "X-Request-Id"));
    CHECK(names(got.field("access-control-expose-headers"), "Retry-After"));
  };
  const std::pair<std::string, std::string> origin{"Origin", listed};
  check(rig.get("/api/v1/me", {origin, bearer("good")}), 404);
  check(rig.get("/api/v1/me", {origin}), 401);
  check(rig.post("/api/v1/login", "no json", {origin}), 400);
  check(rig.post("/api/v1/login", somebody, {origin}), 200);
  check(rig.post("/api/v1/login", somebody, {origin}), 429);
}

TEST_CASE("a listed origin may read that its body was too large", "[net][origin]") {
  origin_rig rig;
  rig.start();
  const auto body = std::string(limits::http_body_bytes + 1, ' ');
  const auto got = rig.post("/api/v1/login", body, {{"Origin", listed}});
  CHECK(got.status == 413);
  CHECK(got.field("access-control-allow-origin") == listed);
  CHECK_FALSE(rig.post("/api/v1/login", body, {{"Origin", stranger}}).has("access-control-allow-origin"));
}

TEST_CASE("asking first counts against the address", "[net][origin]") {
  origin_rig rig;
  rig.settings.limits.requests_per_minute_per_address = 2;
  rig.start();
  CHECK(rig.ask_first("/api/v1/rooms", listed).status == 204);
  CHECK(rig.ask_first("/api/v1/rooms", stranger).status == 405);
  CHECK(rig.ask_first("/api/v1/rooms", listed).status == 429);
}

TEST_CASE("without a list nothing is said of origins", "[net][origin]") {
  origin_rig rig;
  rig.settings.server.cors_origins.clear();
  rig.start();
  CHECK(rig.ask_first("/api/v1/rooms", listed).status == 405);
  const auto got = rig.get("/api/v1/me", {{"Origin", listed}, bearer("good")});
  CHECK_FALSE(got.has("access-control-allow-origin"));
  CHECK_FALSE(got.has("vary"));
}

TEST_CASE("the cookie alone is no proof when another site's page asks", "[net][origin]") {
  origin_rig rig;
  rig.start();
  const std::pair<std::string, std::string> cookie{"Cookie", "maru_refresh=kept"};
  const auto* path = GENERATE("/api/v1/refresh", "/api/v1/logout");
  const auto ask = [&](const headers& more, const std::string& body = "") {
    auto with = more;
    with.push_back(cookie);
    return rig.post(path, body, with).status;
  };
  for (const auto& bad : std::vector<headers>{{{"Origin", stranger}},
                                              {{"Origin", "null"}},
                                              {{"Origin", "http://maru.test.evil.example"}},
                                              {{"Origin", "http://maru.test:81"}},
                                              {{"Sec-Fetch-Site", "cross-site"}},
                                              {{"Sec-Fetch-Site", "same-site"}},
                                              {{"Sec-Fetch-Site", "cross-site"}, {"Origin", stranger}}}) {
    CAPTURE(bad.front().second);
    CHECK(ask(bad) == 403);
    CHECK(ask(bad, "{}") == 403);
  }
  CHECK(rig.calls == 0);
  for (const auto& fine :
       std::vector<headers>{{},
                            {{"Origin", listed}},
                            {{"Origin", "http://maru.test"}}, // the Host of these tests
                            {{"Origin", "https://maru.test"}},
                            {{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://other.name"}},
                            {{"Sec-Fetch-Site", "same-site"}, {"Origin", listed}}})
    CHECK(ask(fine) < 300);
  CHECK(ask({{"Origin", stranger}}, R"({"refresh_token":"of its own"})") < 300);
}

TEST_CASE("a page of another site cannot sign a browser in as somebody else", "[net][origin]") {
  origin_rig rig;
  rig.start();
  CHECK_FALSE(rig.post("/api/v1/login", somebody, {{"Origin", stranger}}).has("set-cookie"));
  CHECK_FALSE(
      rig.post("/api/v1/login", somebody, {{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}})
          .has("set-cookie"));
  CHECK(rig.post("/api/v1/login", somebody, {{"Origin", listed}}).has("set-cookie"));
}

TEST_CASE("by https the cookie has the prefix that keeps others from setting it", "[net][origin]") {
  origin_rig rig;
  rig.settings.server.public_url = "https://Chat.example/maru/";
  rig.start();
  const auto set =
      rig.post("/api/v1/login", somebody, {{"Origin", "https://chat.example"}}).field("set-cookie");
  CHECK(set.starts_with("__Secure-maru_refresh=fresh; HttpOnly; SameSite=Strict; Path=/api/v1; Max-Age="));
  CHECK(names(set, "; Secure"));
  const auto refreshed = [&](const std::string& cookie) {
    return rig.post("/api/v1/refresh", "", {{"Origin", "https://chat.example"}, {"Cookie", cookie}}).status;
  };
  CHECK(refreshed("__Secure-maru_refresh=kept") == 200);
  CHECK(refreshed("maru_refresh=planted") == 400);
  const auto out = rig.post("/api/v1/logout", "", {{"Cookie", "__Secure-maru_refresh=kept"}});
  CHECK(out.field("set-cookie").starts_with("__Secure-maru_refresh=; "));
  CHECK(names(out.field("set-cookie"), "Max-Age=0"));
}

TEST_CASE("every reply has the headers that keep browsers careful", "[net][origin]") {
  origin_rig rig;
  rig.files["index.html"] = "<html>";
  const bool https = GENERATE(false, true);
  if (https) rig.settings.server.public_url = "https://chat.example";
  rig.start();
  const auto page = rig.get("/"), refused = rig.get("/api/v1/me"), fine = rig.get("/healthz");
  http_client broken{rig.address};
  broken.send("nonsense\r\n\r\n");
  const auto nonsense = broken.reply();
  for (const auto* got : {&page, &refused, &fine, &nonsense}) {
    CHECK(got->field("x-content-type-options") == "nosniff");
    CHECK(got->field("referrer-policy") == "no-referrer");
    CHECK(got->field("cross-origin-resource-policy") == "same-origin");
    CHECK(names(got->field("content-security-policy"), "frame-ancestors 'none'"));
    CHECK(got->has("strict-transport-security") == https);
  }
  CHECK(names(refused.field("content-security-policy"), "default-src 'none'"));
  CHECK(refused.field("cache-control") == "no-store");
  CHECK(nonsense.field("cache-control") == "no-store");
  CHECK(names(page.field("content-security-policy"), "default-src 'self'"));
  CHECK_FALSE(names(page.field("content-security-policy"), "unsafe"));
  CHECK(names(page.field("content-security-policy"), "wss://chat.example") == https);
  CHECK(page.field("cross-origin-opener-policy") == "same-origin");
  CHECK(names(page.field("permissions-policy"), "camera=()"));
  CHECK(page.field("x-frame-options") == "DENY");
}
