// A room's frames as server-sent events, from the real server.

#include <csignal>

#include "tests/support/event_reader.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

event_reader stream(const house& h, const account& who, const std::string& room,
                    const std::string& query = "", headers more = {}) {
  more.push_back(bearer(who.access_token));
  return event_reader{h.address(), stream_path(room, query), more};
}

// The next durable event; the rest on the way is dropped.
std::optional<json> next_event(event_reader& from) {
  while (auto got = from.next()) {
    auto frame = got->json();
    if (frame["type"] != "event") continue;
    CHECK(got->id == std::to_string(frame["seq"].get<std::uint64_t>()));
    return frame;
  }
  return std::nullopt;
}

std::uint64_t post(house& h, const account& who, const std::string& room, const std::string& text,
                   json agents = json::array()) {
  static std::mt19937_64 random(seed());
  const auto got = h.post(who, "/api/v1/rooms/" + room + "/messages",
                          {{"id", random_id(random)}, {"text", text}, {"agents", std::move(agents)}});
  REQUIRE(got.status == 202);
  return got.body["seq"];
}

std::size_t sessions(const house& h, const account& admin) {
  const auto tree = api(h.address(), admin.access_token, "GET", "/api/v1/admin/tree").body;
  for (const auto& child : tree)
    if (child["name"] == "sessions") return child.contains("children") ? child["children"].size() : 0;
  return 0;
}

} // namespace

TEST_CASE("a stream replays and then goes on live, with the very frames of the socket") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto before = post(h, ann, room, "before");
  auto s = stream(h, ann, room, "after=0");
  REQUIRE(s.open());
  const auto opened = s.next();
  REQUIRE(opened);
  CHECK(opened->id.empty());
  CHECK(opened->json()["type"] == "opened");
  CHECK(opened->json()["head"] == before);
  CHECK(next_event(s)->at("data")["text"] == "before");
  post(h, ann, room, "a question", {"maru"});
  std::set<std::string> types;
  std::vector<std::string> kinds;
  while (kinds.empty() || kinds.back() != "answer") {
    const auto got = s.next();
    REQUIRE(got);
    const auto frame = got->json();
    types.insert(frame["type"]);
    CHECK(got->id.empty() == (frame["type"] != "event"));
    if (frame["type"] == "event") kinds.push_back(frame["kind"]);
  }
  CHECK(kinds == std::vector<std::string>{"message", "answer"});
  CHECK(types == std::set<std::string>{"event", "answer", "delta"});
}

TEST_CASE("a stream without a place begins with the last 50") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  std::uint64_t last = 0;
  while (last < 60)
    last = post(h, ann, room, "another");
  auto s = stream(h, ann, room);
  CHECK(s.next()->json()["from"] == last - 49);
  CHECK(next_event(s)->at("seq") == last - 49);
}

TEST_CASE("a stream resumed with Last-Event-ID has nothing missing and nothing twice, also after a kill") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  std::string last = "0";
  std::uint64_t expected = 1, head = 0;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 10; ++i)
      head = post(h, ann, room, "round " + std::to_string(round));
    auto s = stream(h, ann, room, "after=0", {{"Last-Event-ID", last}});
    REQUIRE(s.open());
    const auto until = head - 3; // leave the rest to the next
    while (expected <= until) {
      const auto got = next_event(s);
      REQUIRE(got);
      CHECK(got->at("seq") == expected);
      last = std::to_string(expected++);
    }
    if (round % 2 == 0) continue;
    h.server.kill();
    CHECK(s.wait_end());
    h.server.start();
  }
  auto s = stream(h, ann, room, "", {{"Last-Event-ID", last}});
  for (; expected <= head; ++expected)
    CHECK(next_event(s)->at("seq") == expected);
}

TEST_CASE("a room that one may not see, or that is not there, is 404 and no stream") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  const auto room = h.room(ann);
  const auto check = [](const event_reader& got, int status, const std::string& code) {
    CHECK(got.reply().status == status);
    CHECK(got.reply().field("content-type") == "application/problem+json");
    CHECK(json::parse(got.reply().body)["code"] == code);
  };
  check(stream(h, bob, room), 404, "not_found");
  check(stream(h, ann, "01890a5d-ac96-774b-bcce-b302099a8057"), 404, "not_found");
  check(stream(h, ann, room, "after=x"), 400, "invalid_field");
  check(stream(h, {}, room), 401, "unauthenticated");
  CHECK(http_request(h.address(), "HEAD", stream_path(room), {bearer(ann.access_token)}).status == 200);
  CHECK(http_request(h.address(), "HEAD", stream_path(room), {bearer(bob.access_token)}).status == 404);
}

TEST_CASE("a logout ends its streams, and a kept one outlives it") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  const auto room = h.room(ann), others = h.room(bob);
  auto s = stream(h, ann, room);
  auto kept = stream(h, bob, others);
  REQUIRE(s.next());
  REQUIRE(kept.next());
  CHECK(h.post(ann, "/api/v1/logout", json::object()).status == 204);
  CHECK(s.wait_end());
  CHECK(s.ended_in_order());
  CHECK(s.last_comment() == "end 4401");
  post(h, bob, others, "still here");
  CHECK(next_event(kept));
}

TEST_CASE("streams count among the connections of a person, and one that is left counts no more") {
  server_options options;
  options.set = {"limits.connections_per_user=2"};
  house h(MARU_BINARY, test::answers(5, 1), options);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto socket = h.device(ann);
  {
    auto s = stream(h, ann, room);
    REQUIRE(s.open());
    const auto third = stream(h, ann, room);
    CHECK(third.reply().status == 429);
    CHECK(third.reply().has("retry-after"));
  }
  auto again = std::make_unique<event_reader>(stream(h, ann, room));
  while (again->reply().status == 429) // until the server has seen the end of the first
    again = std::make_unique<event_reader>(stream(h, ann, room));
  CHECK(again->open());
}

TEST_CASE("the session behind a stream ends with it") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  for (int i = 0; i < 20; ++i) {
    auto s = stream(h, ann, room);
    REQUIRE(s.next());
  }
  while (sessions(h, ann) > 0) {
  }
  CHECK(sessions(h, ann) == 0);
}

TEST_CASE("an orderly end of the server ends its streams in order") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  auto s = stream(h, ann, h.room(ann));
  REQUIRE(s.next());
  h.server.send_signal(SIGTERM);
  CHECK(s.wait_end());
  CHECK(s.ended_in_order());
  s.link().cut();
  CHECK(h.server.wait_end() == 0);
}

} // namespace maru::tests
