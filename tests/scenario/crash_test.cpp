// What happens when an actor falls.

#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;

namespace {
constexpr std::int64_t a_while_ms = 10'000; // more than any backoff
} // namespace

TEST_CASE("when a room falls, clients get a fresh snapshot and the running answer goes on whole",
          "[scenario][crash]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto id = d.send(room, "question");
  w.settle();
  const auto answer = answers_of(d.acks(id).at(0)).at(0);
  w.model().last().say({"one ", "two "});
  w.settle();
  w.crash_at("room.pieces");
  w.model().last().say({"three "});
  w.settle();
  REQUIRE(w.crashes == 1);
  w.model().last().say({"four "});
  w.advance(a_while_ms);
  CHECK(d.count("opened") == 2);
  CHECK(d.shown(room, answer) == "one two three four ");
  w.model().last().say({"five"});
  w.settle();
  CHECK(d.shown(room, answer) == "one two three four five");
  w.model().last().finish();
  w.settle();
  CHECK(end_of(w, room, answer)["text"] == "one two three four five");
  CHECK(w.model().calls.size() == 1);
  CHECK(w.violations().empty());
}

TEST_CASE("when a room falls, what was under way is sent again and acked once", "[scenario][crash]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const std::string place = GENERATE("room.post", "room.committed");
  const auto nth = GENERATE(1U, 2U, 3U);
  w.crash_at(place, nth);
  std::vector<uuid> ids;
  for (int i = 0; i < 4; ++i)
    ids.push_back(d.send(room, std::to_string(i)));
  w.advance(a_while_ms);
  CHECK(w.crashes == 1);
  for (const auto& id : ids)
    CHECK(d.acks(id).size() == 1);
  CHECK(d.events("message").size() == 4);
  CHECK(w.events(room).size() == 4);
  CHECK(w.violations().empty());
}

TEST_CASE("when a room falls between the commit of an end and telling it, the agent goes on",
          "[scenario][crash]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto first = d.send(room, "first");
  const auto second = d.send(room, "second");
  w.settle();
  w.crash_at("room.committed");
  w.model().last().say({"text"});
  w.model().last().finish();
  w.advance(a_while_ms);
  REQUIRE(w.crashes == 1);
  CHECK(end_of(w, room, answers_of(d.acks(first).at(0)).at(0))["kind"] == "answer");
  REQUIRE(w.model().calls.size() == 2);
  w.model().last().finish();
  w.settle();
  CHECK(end_of(w, room, answers_of(d.acks(second).at(0)).at(0))["kind"] == "answer");
  CHECK(d.events("answer").size() == 2);
  CHECK(w.violations().empty());
}

TEST_CASE("when a room falls after a stop was committed, the model's stream is closed", "[scenario][crash]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto id = d.send(room, "question");
  w.settle();
  w.model().last().say({"text"});
  w.settle();
  w.crash_at("room.committed");
  const auto stop = d.stop(room, answers_of(d.acks(id).at(0)).at(0));
  w.advance(a_while_ms);
  REQUIRE(w.crashes == 1);
  CHECK(d.acks(stop).size() == 1);
  CHECK(w.model().last().cancelled);
  CHECK(w.violations().empty());
}

TEST_CASE("commits of a fallen room that are still under way are known to its next life",
          "[scenario][crash]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  d.send(room, "zero", std::vector<std::string>{});
  w.settle();
  w.store().shut();
  const auto one = d.send(room, "one");
  w.settle();
  w.crash_at("room.post");
  const auto two = d.send(room, "two", std::vector<std::string>{});
  w.advance(a_while_ms);
  REQUIRE(w.crashes == 1);
  w.store().open();
  w.advance(a_while_ms);
  CHECK(d.acks(one).size() == 1);
  CHECK(d.acks(two).size() == 1);
  CHECK(d.events("message").size() == 3);
  CHECK(w.model().calls.size() == 1);
  CHECK(w.violations().empty());
}

TEST_CASE("an agent that falls begins its question again; the fifth time it is poison", "[scenario][crash]") {
  const std::string place =
      GENERATE("agent.pieces", "agent.call", "agent.context", "agent.begin", "agent.committed");
  CAPTURE(place);
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  // The second in the queue, so that its beginning is the agent's own commit.
  const auto first = d.send(room, "first");
  const auto second = d.send(room, "second");
  const auto third = d.send(room, "third");
  w.settle();
  w.crash_always(place);
  w.model().last().say({"text"});
  w.model().last().finish();
  const auto poisoned = answers_of(d.acks(place == "agent.pieces" ? first : second).at(0)).at(0);
  for (int i = 0; i < 40 && end_of(w, room, poisoned).is_null(); ++i) {
    w.advance(a_while_ms);
    if (!w.model().calls.empty()) w.model().last().say({"text"});
    w.settle();
  }
  const auto end = end_of(w, room, poisoned);
  REQUIRE(!end.is_null());
  CHECK(end["kind"] == "answer_failed");
  CHECK(end["reason"]["code"] == "poison");
  CHECK(w.crashes >= 5);
  REQUIRE(!w.dead().empty());
  CHECK(w.dead()[0].entry.id == poisoned);
  CHECK(w.dead()[0].reason == "poison");
  w.mend();
  for (int i = 0; i < 10; ++i) {
    w.advance(a_while_ms);
    for (auto& c : w.model().calls)
      c->finish();
    w.settle();
  }
  CHECK(!end_of(w, room, answers_of(d.acks(third).at(0)).at(0)).is_null());
  CHECK(w.ends(room).size() == 3);
  CHECK(w.violations().empty());
}
