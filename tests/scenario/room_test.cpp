// What a room promises: nothing is told before its commit, everything in order, nothing twice.

#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;

TEST_CASE("nothing of a message leaves before its commit", "[scenario][room]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto before = d.frames.size();
  w.store().shut();
  const auto id = d.send(room, "is anybody there?");
  w.settle();
  CHECK(d.frames.size() == before);
  CHECK(w.model().calls.empty());
  REQUIRE(w.store().held() == 1);

  w.store().open();
  w.settle();
  REQUIRE(d.acks(id).size() == 1);
  CHECK(d.events("message").size() == 1);
  CHECK(w.model().calls.size() == 1);
  CHECK(d.commands_owed == 0);
  CHECK(w.violations().empty());
}

TEST_CASE("the end of an answer is told only once it is on disk", "[scenario][room]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  d.send(room, "question");
  w.settle();
  w.model().last().say({"an ", "answer"});
  w.settle();
  w.store().shut();
  w.model().last().finish();
  w.settle();
  CHECK(d.events("answer").empty());
  // The agent has not been told either: the next question does not begin.
  d.send(room, "another");
  w.settle();
  CHECK(w.model().calls.size() == 1);

  w.store().open();
  w.settle();
  REQUIRE(d.events("answer").size() == 1);
  CHECK(d.events("answer")[0]["data"]["text"] == "an answer");
  CHECK(w.model().calls.size() == 2);
  CHECK(w.violations().empty());
}

TEST_CASE("commands of one room are under way together and told in order", "[scenario][room]") {
  world w;
  const auto room = w.add_room({});
  auto& d = w.watch(room);
  w.store().shut();
  std::vector<uuid> ids;
  for (int i = 0; i < 20; ++i)
    ids.push_back(d.send(room, std::to_string(i)));
  w.settle();
  CHECK(w.store().held() == 20);
  w.store().let(7);
  w.settle();
  CHECK(d.count("ack") == 7);
  CHECK(d.events("message").size() == 7);
  w.store().open();
  w.settle();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    REQUIRE(d.acks(ids[i]).size() == 1);
    CHECK(d.acks(ids[i])[0]["seq"] == i + 1);
  }
  CHECK(w.violations().empty());
}

TEST_CASE("a resend of a command that is under way joins it", "[scenario][room]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  w.store().shut();
  const auto id = d.send(room, "once");
  w.settle();
  d.send(room, "once", {}, id);
  w.settle();
  CHECK(w.store().held() == 1);
  w.store().open();
  w.settle();
  const auto acks = d.acks(id);
  REQUIRE(acks.size() == 2);
  CHECK(acks[0]["duplicate"] == false);
  CHECK(acks[1]["duplicate"] == true);
  CHECK(acks[0]["answers"] == acks[1]["answers"]);
  CHECK(w.events(room).size() == 1);
  CHECK(w.violations().empty());
}

TEST_CASE("a resend is found for ever, and other content under its id is a conflict", "[scenario][room]") {
  world w;
  const auto room = w.add_room({});
  auto& d = w.watch(room);
  const auto first = d.send(room, "the first");
  w.settle();
  const auto other = GENERATE(std::size_t{0}, std::size_t{1100}); // within and beyond what the room remembers
  for (std::size_t i = 0; i < other; ++i)
    d.send(room, "filler");
  w.settle();
  d.send(room, "the first", {}, first);
  w.settle();
  REQUIRE(d.acks(first).size() == 2);
  CHECK(d.acks(first)[1]["seq"] == 1);
  CHECK(d.acks(first)[1]["duplicate"] == true);

  d.send(room, "something else", {}, first);
  w.settle();
  REQUIRE(d.errors(first).size() == 1);
  CHECK(d.errors(first)[0]["code"] == "conflict");

  actors::send_in elsewhere{first.str(), first, room, "the first", {}, actors::parent_rule::given, {}, {}};
  elsewhere.parent = *uuid::parse(d.events("message").back()["id"].get<std::string>());
  if (other > 0) {
    d.send(elsewhere);
    w.settle();
    CHECK(d.errors(first).size() == 2);
  }
  CHECK(w.events(room).size() == other + 1);
  CHECK(d.commands_owed == 0);

  const auto after = d.send(room, "goes on");
  w.settle();
  REQUIRE(d.acks(after).size() == 1);
  CHECK(d.acks(after)[0]["seq"] == other + 2);
  CHECK(w.violations().empty());
}

TEST_CASE("a command whose duplicate is found only in the store does not harm those behind it",
          "[scenario][room]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto first = d.send(room, "the first", std::vector<std::string>{});
  for (std::size_t i = 0; i < 1100; ++i)
    d.send(room, "filler", std::vector<std::string>{});
  w.settle();
  w.store().shut();
  d.send(room, "the first", std::vector<std::string>{}, first);
  const auto one = d.send(room, "one", std::vector<std::string>{});
  const auto two = d.send(room, "two");
  w.settle();
  w.store().open();
  w.settle();
  REQUIRE(d.acks(first).size() == 2);
  REQUIRE(d.acks(one).size() == 1);
  REQUIRE(d.acks(two).size() == 1);
  CHECK(d.acks(one)[0]["seq"] == 1102);
  CHECK(d.acks(two)[0]["seq"] == 1103);
  CHECK(w.model().calls.size() == 1);
  CHECK(w.violations().empty());
}
