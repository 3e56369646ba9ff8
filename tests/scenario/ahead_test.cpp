// The model is called while its question is on the way to the disk: nothing of that shows before it is there.

#include "config/limits.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

// A room whose agent is alive and idle, and a disk that takes nothing until it is opened.
struct slow_disk {
  slow_disk() {
    a.ask("first");
    a.answer("to first");
    a.w.store().shut();
  }
  asking a;
};

} // namespace

TEST_CASE("a living agent calls its model while the question is on its way to the disk",
          "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  const auto before = a.d->frames.size();
  const auto id = a.d->send(a.room, "second");
  a.w.settle();
  REQUIRE(a.model.calls.size() == 2);
  const auto& turns = a.model.last().what.turns;
  REQUIRE(turns.size() == 3);
  CHECK(turns[0].text == "first");
  CHECK(turns[1].text == "to first");
  CHECK(turns[2].text == "second");
  a.model.last().say({"al", "ready"});
  a.w.settle();
  CHECK(a.d->frames.size() == before);

  a.w.store().open();
  a.w.settle();
  REQUIRE(a.d->acks(id).size() == 1);
  a.model.last().finish();
  a.w.settle();
  CHECK(a.d->events("answer").back()["data"]["text"] == "already");
  CHECK(a.model.calls.size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("an answer that is whole before its question is on disk is told after it", "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  const auto before = a.d->frames.size();
  a.d->send(a.room, "second");
  a.w.settle();
  a.model.last().say({"all of it"});
  a.model.last().finish();
  a.w.settle();
  CHECK(a.d->frames.size() == before);

  a.w.store().open();
  a.w.settle();
  CHECK(a.d->events("answer").size() == 2);
  CHECK(a.d->events("answer").back()["data"]["text"] == "all of it");
  CHECK(a.w.entries(a.room, "maru").empty());
  CHECK(a.w.violations().empty());
}

TEST_CASE("a call that fails before its question is on disk is tried again after it", "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  a.d->send(a.room, "second");
  a.w.settle();
  a.model.last().fail(llm::fault::status, true, 503);
  a.w.settle();
  a.w.advance(60'000);
  CHECK(a.model.calls.size() == 2);

  a.w.store().open();
  a.w.settle();
  a.w.advance(60'000);
  REQUIRE(a.model.calls.size() == 3);
  a.model.last().say({"now"});
  a.model.last().finish();
  a.w.settle();
  CHECK(a.d->events("answer").back()["data"]["attempts"] == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a question that the disk refuses takes its call with it, and the next is asked",
          "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  a.w.store_fault = [](std::string_view operation) {
    return operation == "commit" ? storage::failure::full : storage::failure::none;
  };
  const auto id = a.d->send(a.room, "second");
  a.w.settle();
  REQUIRE(a.model.open_calls() == 1);
  a.model.last().say({"never ", "to be seen"});
  a.w.store().open();
  a.w.settle();
  CHECK(a.d->errors(id).size() == 1);
  CHECK(a.model.open_calls() == 0);
  CHECK(a.model.last().cancelled);

  a.w.store_fault = nullptr;
  a.ask("third");
  a.answer("to third");
  CHECK(a.d->events("answer").back()["data"]["text"] == "to third");
  CHECK(a.d->events("message").size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a resend that only the store knows leaves no call behind", "[scenario][agent]") {
  asking a;
  const auto id = a.d->send(a.room, "once");
  a.w.settle();
  a.model.last().say({"answer"});
  a.model.last().finish();
  a.w.settle();
  // So many others that the room has forgotten the first.
  for (std::size_t i = 0; i <= limits::room_recent_commands; ++i)
    a.d->send(a.room, "x", std::vector<std::string>{});
  a.w.settle();
  const auto calls = a.model.calls.size();
  a.d->send(a.room, "once", {}, id);
  a.w.settle();
  REQUIRE(a.d->acks(id).size() == 2);
  CHECK(a.d->acks(id).back()["duplicate"] == true);
  CHECK(a.model.open_calls() == 0);
  CHECK(a.model.calls.size() <= calls + 1);
  a.ask("another");
  a.answer("to another");
  CHECK(a.d->events("answer").size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a room that falls over a question under way leaves it to the mailbox", "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  a.d->send(a.room, "second");
  a.w.settle();
  REQUIRE(a.model.open_calls() == 1);
  a.model.last().say({"lost"});
  a.w.crash_at("room.committed");
  a.w.store().open();
  a.w.settle();
  a.w.advance(10'000);
  REQUIRE(a.w.crashes == 1);
  REQUIRE(a.model.open_calls() == 1);
  a.model.last().say({"found"});
  a.model.last().finish();
  a.w.settle();
  CHECK(a.d->events("answer").back()["data"]["text"] == "found");
  CHECK(a.d->events("answer").size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("an agent that falls over a question under way takes it up from its mailbox", "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  a.w.crash_at("agent.pieces");
  a.d->send(a.room, "second");
  a.w.settle();
  a.model.last().say({"lost"});
  a.w.settle();
  REQUIRE(a.w.crashes == 1);
  a.w.store().open();
  a.w.settle();
  a.w.advance(10'000);
  REQUIRE(a.model.open_calls() == 1);
  a.model.last().say({"found"});
  a.model.last().finish();
  a.w.settle();
  CHECK(a.d->events("answer").back()["data"]["text"] == "found");
  CHECK(a.w.violations().empty());
}

TEST_CASE("behind a message that is on its way to the disk no call is made ahead", "[scenario][agent]") {
  slow_disk s;
  auto& a = s.a;
  a.d->send(a.room, "a remark", std::vector<std::string>{});
  a.d->send(a.room, "second");
  a.w.settle();
  CHECK(a.model.calls.size() == 1);
  a.w.store().open();
  a.w.settle();
  REQUIRE(a.model.calls.size() == 2);
  const auto& turns = a.model.last().what.turns;
  REQUIRE(turns.size() == 4);
  CHECK(turns[2].text == "a remark");
  CHECK(a.w.violations().empty());
}
