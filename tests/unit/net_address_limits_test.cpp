#include "net/address_limits.hpp"

#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::net;
using namespace maru::tests;

namespace {

constexpr std::int64_t minute = limits::minute_ms;

address_limits bounds(std::uint32_t requests, std::uint32_t signups = 0) {
  config::limit_settings settings;
  settings.requests_per_minute_per_address = requests;
  settings.signups_per_minute_per_address = signups;
  return address_limits{settings};
}

void limit(net_rig& rig, std::uint32_t requests, std::uint32_t signups = 0) {
  rig.settings.limits.requests_per_minute_per_address = requests;
  rig.settings.limits.signups_per_minute_per_address = signups;
}

void check_refused(const http_reply& got) {
  CHECK(got.status == 429);
  CHECK(nlohmann::json::parse(got.body)["code"] == "rate_limited");
  CHECK(got.field("retry-after") == "30");
}

const std::string somebody = R"({"username":"ada","password":"12345678"})";

} // namespace

TEST_CASE("an address has a minute's worth at once, then what the minute brings", "[net]") {
  auto on = bounds(4);
  const std::int64_t now = 1'000'000;
  for (int i = 0; i < 4; ++i)
    CHECK(on.take_request(1, now) == 0);
  CHECK(on.take_request(1, now) == minute / 4);
  CHECK(on.take_request(1, now + minute / 4 - 1) == 1);
  CHECK(on.take_request(1, now + minute / 4) == 0);
  CHECK(on.take_request(1, now + minute / 4) > 0);
  CHECK(on.take_request(2, now) == 0);
  for (int i = 0; i < 4; ++i)
    CHECK(on.take_request(1, now + 3 * minute) == 0);
  CHECK(on.take_request(1, now + 3 * minute) > 0);
}

TEST_CASE("sign-ups are counted by themselves", "[net]") {
  auto on = bounds(0, 1);
  CHECK(on.take_signup(1, 0) == 0);
  CHECK(on.take_signup(1, 0) == minute);
  CHECK(on.take_request(1, 0) == 0);
}

TEST_CASE("without a bound nothing is counted", "[net]") {
  auto on = bounds(0, 0);
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(on.take_request(1, 0) + on.take_signup(1, 0) == 0);
}

TEST_CASE("a token is asked about while there is something left, or the last one was good", "[net]") {
  auto on = bounds(2);
  on.token_was(false, 1, 0);
  CHECK(on.wait_with_token(1, 0) == 0);
  on.token_was(false, 1, 0);
  CHECK(on.wait_with_token(1, 0) == minute / 2);
  CHECK(on.take_request(1, 0) == minute / 2);
  CHECK(on.wait_with_token(1, minute / 2) == 0);
  on.token_was(true, 1, 0);
  CHECK(on.wait_with_token(1, 0) == 0);
  CHECK(on.take_request(1, 0) == minute / 2);
}

TEST_CASE("when too many addresses are known the one idle for longest is forgotten", "[net]") {
  auto on = bounds(1);
  CHECK(on.take_request(0, 0) == 0);
  CHECK(on.take_request(1, 0) == 0);
  CHECK(on.take_request(0, 0) > 0);
  for (address_key from = 2; from <= limits::addresses_remembered; ++from)
    on.take_request(from, 0);
  CHECK(on.take_request(0, 0) > 0);
  CHECK(on.take_request(1, 0) == 0);
}

TEST_CASE("an IPv6 address counts as its network, an IPv4 address as itself however it is written", "[net]") {
  std::array<std::uint8_t, 16> one{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 7, 1};
  auto neighbour = one, other = one;
  neighbour[15] = 9;
  other[7] = 8;
  CHECK(key_of(one) == key_of(neighbour));
  CHECK(key_of(one) != key_of(other));
  const std::array<std::uint8_t, 16> v4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  auto next = v4;
  next[15] = 2;
  CHECK(key_of(v4) == 0x7f000001);
  CHECK(key_of(v4) != key_of(next));
}

TEST_CASE("requests without a token are counted, whatever they ask for, and refused beyond the bound",
          "[net][http]") {
  net_rig rig;
  rig.files["index.html"] = "<html>";
  limit(rig, 2);
  rig.start();
  CHECK(rig.get("/").status == 200);
  CHECK(rig.post("/api/v1/login", somebody, {bearer("good")}).status == 404); // the token does not help it
  for (const auto* path : {"/", "/missing.js", "/api/v1/me", "/ws", "/%zz"})
    check_refused(rig.get(path));
  for (const auto* path : {"/api/v1/login", "/api/v1/signup", "/api/v1/refresh", "/api/v1/logout"})
    check_refused(rig.post(path, somebody, {bearer("good")}));
  CHECK(ws_client{rig.address}.upgrade().status == 429);
  CHECK(ws_client(rig.address, "/ws?ticket=none").upgrade().status == 429);
  rig.time.move(minute / 2);
  CHECK(rig.get("/").status == 200);
  check_refused(rig.get("/"));
}

TEST_CASE("what is no request, or too much of one, is counted, too", "[net][http]") {
  net_rig rig;
  limit(rig, 3);
  rig.start();
  const auto say = [&](const std::string& bytes) {
    http_client client{rig.address};
    client.send(bytes);
    return client.reply().status;
  };
  CHECK(say("this is no HTTP\r\n\r\n") == 400);
  CHECK(say(http_text("GET", "/healthz", {{"X-Long", std::string(limits::http_header_bytes, 'x')}})) == 431);
  CHECK(say("POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n") == 413);
  CHECK(rig.get("/").status == 429);
}

TEST_CASE("an address beyond its bound is still served with a good token, and its health is still told",
          "[net][http]") {
  net_rig rig;
  limit(rig, 2);
  rig.start();
  while (rig.get("/").status != 429) {
  }
  CHECK(rig.get("/api/v1/me", {bearer("good")}).status == 404); // what the actors say here
  CHECK(rig.get("/healthz").status == 200);
  CHECK(rig.get("/readyz").status == 200);
  CHECK(rig.socket().upgrade().status == 101);
  const auto given = nlohmann::json::parse(rig.post("/api/v1/negotiate", "", {bearer("good")}).body);
  CHECK(ws_client(rig.address, "/ws?ticket=" + given["token"].get<std::string>()).upgrade().status == 101);
}

TEST_CASE("refused tokens are counted, on both ways in, and in the end not even asked about", "[net][http]") {
  net_rig rig;
  limit(rig, 2);
  std::atomic<int> asked{0};
  const auto say = rig.front.on_call;
  rig.front.on_call = [&](const std::string& token, const actors::api::request& what) {
    ++asked;
    return say(token, what);
  };
  rig.start();
  CHECK(rig.get("/api/v1/me", {bearer("bad")}).status == 401);
  CHECK(ws_client(rig.address, "/ws", {bearer("worse")}).wait_closed() == 4401);
  check_refused(rig.get("/api/v1/me", {bearer("worst")}));
  CHECK(ws_client(rig.address, "/ws", {bearer("worst")}).upgrade().status == 429);
  CHECK(asked == 2);
  rig.time.move(minute / 2);
  CHECK(rig.get("/api/v1/me", {bearer("good")}).status == 404);
  CHECK(rig.get("/api/v1/me", {bearer("bad")}).status == 401);
  check_refused(rig.get("/api/v1/me", {bearer("bad")}));
}

TEST_CASE("sign-ups beyond their bound are refused, and logins go on", "[net][http]") {
  net_rig rig;
  limit(rig, 1000, 2);
  rig.start();
  for (int i = 0; i < 2; ++i)
    CHECK(rig.post("/api/v1/signup", somebody).status == 401);
  check_refused(rig.post("/api/v1/signup", somebody));
  CHECK(rig.post("/api/v1/login", somebody).status == 401);
}
