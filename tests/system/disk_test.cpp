// A disk that fills up under the server, and has room again.

#include "tests/support/house.hpp"
#include "tests/support/small_disk.hpp"

namespace maru::tests {
namespace {

const json nobody{{"agents", json::array()}};

} // namespace

TEST_CASE("a full disk refuses writes, reads go on, and with room again everything does") {
  small_disk disk;
  if (!disk.mounted()) return;
  server_options options;
  options.data = disk.data();
  house h(MARU_BINARY, test::answers(50, 10), options);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  c->expect(test::expected_answer);
  const auto question = c->send(room, "a question that outlasts the disk");
  acked(*c, question);

  disk.fill();
  const std::string text(20'000, 'x');
  std::size_t sent = 0;
  while (c->errors().empty() && ++sent < 1000) {
    c->send(room, text, nobody);
    REQUIRE(c->wait([&] { return c->unacked() == 0 || !c->errors().empty(); }));
  }
  REQUIRE_FALSE(c->errors().empty());
  CHECK(c->errors().front()["code"] == "storage_unavailable");
  CHECK(c->errors().front()["retry_after_ms"] > 0);
  const auto refused = h.post(ann, "/api/v1/rooms", {{"title", text.substr(0, 200)}});
  CHECK(refused.status == 503);
  CHECK(refused.code() == "storage_unavailable");
  CHECK(refused.raw.has("retry-after"));
  const auto told = http_request(h.address(), "GET", "/readyz");
  CHECK(told.status == 200);
  CHECK(json::parse(told.body)["status"] == "degraded");
  CHECK(all_events(h.address(), ann, room).size() >= sent);

  CHECK(h.server.log().find("the disk takes no writes") != std::string::npos);
  disk.make_room();
  for (int tries = 0; c->unacked() > 0 && tries < 1000; ++tries) {
    const auto errors = c->errors().size();
    for (const auto& [id, what] : c->commands())
      if (!what.ack) c->resend(id);
    REQUIRE(c->wait([&] { return c->unacked() == 0 || c->errors().size() > errors; }));
  }
  CHECK(c->unacked() == 0);
  const auto& end = ended(*c, question);
  CHECK(end["data"]["text"] == test::expected_answer("a question that outlasts the disk", 50));
  CHECK(json::parse(http_request(h.address(), "GET", "/readyz").body)["status"] == "ready");
  h.server.kill();
  h.server.start();
  const auto kept = all_events(h.address(), ann, room);
  CHECK(kept.size() == c->room(room).events.size());
  CHECK(kept.size() == sent + 2);
  CHECK(c->wrong() == "");
}

} // namespace maru::tests
