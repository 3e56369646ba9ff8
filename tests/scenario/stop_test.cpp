// Stop against end: whichever the room orders first holds, and the other is told so.

#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;

namespace {

// A question that is being answered, with some text shown.
struct running {
  world w;
  uuid room = w.add_room();
  device& d = w.watch(room);
  uuid answer;

  running() {
    const auto id = d.send(room, "question");
    w.settle();
    answer = answers_of(d.acks(id).at(0)).at(0);
    w.model().last().say({"some ", "text"});
    w.settle();
  }
};

} // namespace

TEST_CASE("a stop ends the answer with what was shown and closes the model's stream", "[scenario][stop]") {
  running r;
  const auto stop = r.d.stop(r.room, r.answer);
  r.w.settle();
  REQUIRE(r.d.acks(stop).size() == 1);
  const auto end = end_of(r.w, r.room, r.answer);
  CHECK(end["kind"] == "answer_stopped");
  CHECK(end["text"] == "some text");
  CHECK(r.d.acks(stop)[0]["seq"] == end["seq"]);
  CHECK(r.d.acks(stop)[0]["duplicate"] == false);
  CHECK(r.w.model().last().cancelled);
  CHECK(r.w.entries(r.room, "maru").empty());
  CHECK(r.w.violations().empty());
}

TEST_CASE("nothing of the model follows an ordered stop", "[scenario][stop]") {
  running r;
  r.w.store().shut();
  const auto stop = r.d.stop(r.room, r.answer);
  r.w.settle();
  CHECK(r.d.acks(stop).empty());
  r.w.model().last().say({"more"});
  r.w.model().last().finish();
  r.w.settle();
  CHECK(r.d.shown(r.room, r.answer) == "some text");
  r.w.store().open();
  r.w.settle();
  CHECK(r.d.acks(stop).size() == 1);
  REQUIRE(r.w.ends(r.room).size() == 1);
  CHECK(end_of(r.w, r.room, r.answer)["kind"] == "answer_stopped");
  CHECK(r.w.violations().empty());
}

TEST_CASE("a stop that comes while the answer ends is acked with that end", "[scenario][stop]") {
  running r;
  r.w.store().shut();
  r.w.model().last().finish();
  r.w.settle();
  const auto stop = r.d.stop(r.room, r.answer);
  const auto again = r.d.stop(r.room, r.answer);
  r.d.stop(r.room, r.answer, stop);
  r.w.settle();
  CHECK(r.d.count("ack") == 1); // of the question
  r.w.store().open();
  r.w.settle();
  const auto end = end_of(r.w, r.room, r.answer);
  CHECK(end["kind"] == "answer");
  REQUIRE(r.d.acks(stop).size() == 2);
  REQUIRE(r.d.acks(again).size() == 1);
  CHECK(r.d.acks(stop)[0]["seq"] == end["seq"]);
  CHECK(r.d.acks(stop)[1]["duplicate"] == true);
  CHECK(r.d.acks(again)[0]["seq"] == end["seq"]);
  CHECK(r.w.ends(r.room).size() == 1);
  CHECK(r.w.violations().empty());
}

TEST_CASE("a stop after the end is acked with the end's seq and changes nothing", "[scenario][stop]") {
  running r;
  r.w.model().last().finish();
  r.w.settle();
  const auto stop = r.d.stop(r.room, r.answer);
  r.w.settle();
  r.d.stop(r.room, r.answer, stop);
  r.w.settle();
  const auto acks = r.d.acks(stop);
  REQUIRE(acks.size() == 2);
  CHECK(acks[0]["seq"] == end_of(r.w, r.room, r.answer)["seq"]);
  CHECK(acks[0]["duplicate"] == false);
  CHECK(acks[1]["duplicate"] == true);
  CHECK(r.w.events(r.room).size() == 2);
  CHECK(r.w.violations().empty());
}

TEST_CASE("two resends of a stop after the end at the same time do not disturb the room",
          "[scenario][stop]") {
  running r;
  r.w.model().last().finish();
  r.w.settle();
  r.w.reached.clear();
  const auto stop = r.d.stop(r.room, r.answer);
  r.d.stop(r.room, r.answer, stop);
  const auto post = r.d.send(r.room, "goes on");
  r.w.settle();
  CHECK(r.d.acks(stop).size() == 2);
  CHECK(r.d.acks(post).size() == 1);
  CHECK(r.w.reached["room.load"] == 0);
  CHECK(r.w.violations().empty());
}

TEST_CASE("a stop of an answer that waits its turn keeps it from being asked", "[scenario][stop]") {
  running r;
  const auto second = r.d.send(r.room, "second");
  const auto third = r.d.send(r.room, "third");
  r.w.settle();
  const auto waiting = answers_of(r.d.acks(second).at(0)).at(0);
  const auto stop = r.d.stop(r.room, waiting);
  r.w.settle();
  CHECK(r.d.acks(stop).size() == 1);
  CHECK(end_of(r.w, r.room, waiting)["kind"] == "answer_stopped");
  r.w.model().last().finish();
  r.w.settle();
  REQUIRE(r.w.model().calls.size() == 2);
  CHECK(r.w.model().last().what.turns.back().text == "third");
  CHECK(r.d.acks(third).size() == 1);
  CHECK(r.w.violations().empty());
}

TEST_CASE("an answer of another room cannot be stopped", "[scenario][stop]") {
  running r;
  const auto other = r.w.add_room();
  const auto stop = r.d.stop(other, r.answer);
  r.w.settle();
  REQUIRE(r.d.errors(stop).size() == 1);
  CHECK(r.d.errors(stop)[0]["code"] == "not_found");
  CHECK(r.d.shown(r.room, r.answer) == "some text");
}
