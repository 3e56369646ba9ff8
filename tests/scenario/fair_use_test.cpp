// Model calls that wait their turn: places, shares, overload, providers that rest, and those that are asked
// instead.

#include "config/limits.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

using change = std::function<void(config::settings&)>;

change with_calls(std::uint32_t calls, std::uint32_t waiting = 1000) {
  return [=](config::settings& s) {
    for (auto& p : s.providers) {
      p.calls = calls;
      p.waiting = waiting;
    }
  };
}

// The agent maru has both providers, "restart" before "continue".
change with_both(std::uint32_t attempts = 2) {
  return [=](config::settings& s) {
    s.agents[0].providers = {"restart", "continue"};
    for (auto& p : s.providers) {
      p.attempts = attempts;
      p.rest_after = 3;
      p.rest_first_ms = p.rest_most_ms = 60'000;
    }
  };
}

std::vector<std::uint32_t> places(const device& of, const uuid& answer) {
  std::vector<std::uint32_t> all;
  for (const auto& f : of.frames)
    if (f["type"] == "answer" && f["answer"] == answer.str()) all.push_back(f.value("position", 0U));
  return all;
}

std::string state_of(const device& of, const uuid& answer) {
  std::string state;
  for (const auto& f : of.frames)
    if (f["type"] == "answer" && f["answer"] == answer.str()) state = f["state"];
  return state;
}

constexpr std::int64_t long_ms = 30'000;

} // namespace

TEST_CASE("a question whose call has to wait shows its place, and moves up", "[scenario][fair]") {
  asking a({"maru"}, with_calls(1));
  const auto first = a.ask("first");
  std::vector<uuid> rooms, waiting;
  for (int i = 0; i < 3; ++i) {
    rooms.push_back(a.w.add_room());
    auto& d = a.w.watch(rooms.back());
    const auto id = d.send(rooms.back(), "question");
    a.w.settle();
    waiting.push_back(answers_of(d.acks(id).at(0)).at(0));
  }
  CHECK(a.model.calls.size() == 1);
  auto& last = *a.w.devices.back();
  CHECK(state_of(last, waiting[2]) == "queued");
  CHECK(places(last, waiting[2]).back() == 3);
  a.answer("done");
  CHECK(a.model.calls.size() == 2);
  CHECK(state_of(*a.w.devices[1], waiting[0]) == "thinking");
  CHECK(places(*a.w.devices[1], waiting[0]).back() == 0);
  a.w.advance(limits::call_positions_ms + 1);
  CHECK(places(last, waiting[2]).back() == 2);
  a.answer("done");
  a.answer("done");
  a.answer("done");
  CHECK(a.end(first)["kind"] == "answer");
  CHECK(end_of(a.w, rooms[2], waiting[2])["kind"] == "answer");
  CHECK(a.w.violations().empty());
}

TEST_CASE("questions behind each other in a room show their place, also to who opens it later",
          "[scenario][fair]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  const auto third = a.ask("third");
  CHECK(places(*a.d, second) == std::vector<std::uint32_t>{1});
  CHECK(places(*a.d, third) == std::vector<std::uint32_t>{2});
  auto& late = a.w.watch(a.room);
  const auto opened = late.all("opened").at(0);
  std::map<std::string, std::uint32_t> there;
  for (const auto& answer : opened["answers"])
    there[answer["answer"]] = answer.value("position", 0U);
  CHECK(there[second.str()] == 1);
  CHECK(there[third.str()] == 2);
  a.answer("done");
  CHECK(places(*a.d, third).back() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a stop of what waits for its call costs no call, and the next moves up", "[scenario][fair]") {
  asking a({"maru", "second"}, with_calls(1));
  const auto all = a.post("to both");
  REQUIRE(a.model.calls.size() == 1);
  a.d->stop(a.room, all[1]);
  a.w.settle();
  CHECK(a.end(all[1])["kind"] == "answer_stopped");
  a.answer("done");
  CHECK(a.model.calls.size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("who asks little is answered between the questions of who asks much", "[scenario][fair]") {
  asking a({"maru"}, with_calls(1));
  const auto ben = a.w.add_user("ben");
  std::vector<uuid> rooms;
  for (int i = 0; i < 4; ++i) {
    rooms.push_back(a.w.add_room());
    auto& d = a.w.watch(rooms.back());
    d.send(rooms.back(), "much " + std::to_string(i));
  }
  const auto bens = a.w.add_room();
  a.w.add_member(bens, ben);
  auto& d = a.w.connect(ben);
  d.open(bens, 0);
  a.w.settle();
  d.send(bens, "little");
  a.w.settle();
  std::vector<std::string> order;
  for (int i = 0; i < 5; ++i) {
    order.push_back(a.model.last().what.turns.back().text);
    a.answer("done");
  }
  CHECK(order == std::vector<std::string>{"much 0", "much 1", "little", "much 2", "much 3"});
}

TEST_CASE("when too many wait for a model, new questions are refused with a time, and messages are not",
          "[scenario][fair]") {
  asking a({"maru"}, with_calls(1, 1));
  a.ask("runs");
  const auto other = a.w.add_room();
  auto& d = a.w.watch(other);
  d.send(other, "waits");
  a.w.settle();
  const auto full = a.w.add_room();
  auto& late = a.w.watch(full);
  const auto refused = late.send(full, "too many");
  const auto said = late.send(full, "to nobody", std::vector<std::string>{});
  a.w.settle();
  REQUIRE(late.errors(refused).size() == 1);
  CHECK(late.errors(refused)[0]["code"] == "overloaded");
  CHECK(late.errors(refused)[0]["retry_after_ms"] >= limits::call_wait_told_least_ms);
  CHECK(late.acks(said).size() == 1);
  // What was taken before it was full is answered, and then there is place again.
  a.answer("one");
  a.answer("two");
  late.send(full, "too many", {}, refused);
  a.w.settle();
  CHECK(late.acks(refused).size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("what waited for its call when the process was killed is answered by the next",
          "[scenario][fair]") {
  asking a({"maru", "second"}, with_calls(1));
  const auto all = a.post("to both");
  a.w.restart();
  a.come_back();
  a.w.advance(long_ms);
  a.answer("one");
  a.w.advance(long_ms);
  a.answer("two");
  CHECK(a.end(all[0])["kind"] == "answer");
  CHECK(a.end(all[1])["kind"] == "answer");
  CHECK(a.w.violations().empty());
}

TEST_CASE("an agent that falls while its call waits leaves the line", "[scenario][fair]") {
  asking a({"maru", "second"}, with_calls(1));
  const auto all = a.post("to both");
  a.w.crash_at("agent.enqueued");
  a.d->send(a.room, "falls", std::vector<std::string>{"second"});
  a.w.settle();
  REQUIRE(a.w.crashes == 1);
  a.w.advance(long_ms);
  a.answer("one");
  a.w.advance(long_ms);
  a.answer("two");
  a.w.advance(long_ms);
  a.answer("three");
  CHECK(a.end(all[0])["kind"] == "answer");
  CHECK(a.end(all[1])["kind"] == "answer");
  CHECK(a.w.entries(a.room, "second").empty());
  CHECK(a.w.violations().empty());
}

// --- other providers ---------------------------------------------------------------------------------------

TEST_CASE("when the attempts at one provider are used up, the agent's next one is asked",
          "[scenario][fair]") {
  asking a({"maru"}, with_both(2));
  auto& next = a.w.model("continue");
  const auto answer = a.ask("question");
  a.fail();
  a.w.advance(long_ms);
  a.say({"half "});
  a.fail();
  a.w.settle();
  a.w.advance(10);
  REQUIRE(a.model.calls.size() == 2);
  REQUIRE(next.calls.size() == 1);
  // What the first one said is gone on from only by who takes it.
  CHECK(next.last().what.prefix == "half ");
  next.last().say({"whole"});
  next.last().finish();
  a.w.settle();
  CHECK(a.end(answer)["text"] == "half whole");
  CHECK(a.end(answer)["attempts"] == 3);
  CHECK(a.w.counts->value(metric::answer_fallbacks) == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a provider that refuses us is not asked again, one that refuses the question ends the answer",
          "[scenario][fair]") {
  asking a({"maru"}, with_both());
  auto& next = a.w.model("continue");
  const auto first = a.ask("first");
  a.model.last().fail(llm::fault::status, false, 401);
  a.w.settle();
  a.w.advance(10);
  REQUIRE(next.calls.size() == 1);
  next.last().fail(llm::fault::status, false, 400);
  a.w.settle();
  CHECK(a.end(first)["kind"] == "answer_failed");
  CHECK(a.model.calls.size() == 1);
  CHECK(a.w.dead().empty());
}

TEST_CASE("while a provider rests, the next one is asked without an attempt at the first",
          "[scenario][fair]") {
  asking a({"maru"}, with_both(3));
  auto& next = a.w.model("continue");
  const auto first = a.ask("first");
  for (int i = 0; i < 3; ++i) {
    a.fail();
    a.w.advance(long_ms);
  }
  REQUIRE(next.calls.size() == 1);
  next.last().finish();
  a.w.settle();
  const auto second = a.ask("second");
  CHECK(a.model.calls.size() == 3);
  REQUIRE(next.calls.size() == 2);
  next.last().say({"text"});
  next.last().finish();
  a.w.settle();
  CHECK(a.end(first)["kind"] == "answer");
  CHECK(a.end(second)["attempts"] == 1);
  // After its rest one call tries it.
  a.w.advance(60'000);
  a.ask("third");
  CHECK(a.model.calls.size() == 4);
  a.answer("again");
  a.ask("fourth");
  CHECK(a.model.calls.size() == 5);
  CHECK(a.w.violations().empty());
}

TEST_CASE("with no other provider a question waits until one that rests is tried", "[scenario][fair]") {
  asking a({"maru"}, [](config::settings& s) {
    s.providers[0].attempts = 1;
    s.providers[0].rest_after = 2;
    s.providers[0].rest_first_ms = 5'000;
  });
  a.ask("one");
  a.fail();
  a.ask("two");
  a.fail();
  const auto third = a.ask("three");
  CHECK(a.model.calls.size() == 2);
  CHECK(state_of(*a.d, third) == "queued");
  a.w.advance(5'001);
  REQUIRE(a.model.calls.size() == 3);
  a.answer("back");
  CHECK(a.end(third)["kind"] == "answer");
  CHECK(a.w.violations().empty());
}
