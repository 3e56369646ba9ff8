// Whatever operation of the store fails, once or for a while: what was acked is there once, each answer ends
// once, and nothing stays behind.

#include <functional>
#include <string>

#include "tests/fault/failing.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faithful_client.hpp"

using namespace maru;
using namespace maru::test;
using storage::failure;

namespace {

// A bit of everything: messages to two agents, one that checkpoints, a failing provider, stops, reopening.
class play {
public:
  play() {
    room = w.add_room({"maru", "keeper"});
    quiet = w.add_room({});
    w.settle();
  }

  void go() {
    for (auto* c : clients) {
      c->open(room);
      c->open(quiet);
    }
    pause(10);
    for (auto* c : clients)
      c->tend(); // connected by now
    one.send(room, "first");
    two.send(quiet, "a remark");
    pause(50);
    each_call([](model_stream& c) { c.say({"some ", "text "}); });
    pause(150); // a checkpoint is due
    one.send(room, "second", std::vector<std::string>{"maru"});
    const auto doomed = two.send(room, "to be stopped");
    pause(20);
    each_call([](model_stream& c) { c.say({"more "}); });
    pause(10);
    each_call([](model_stream& c) { c.fail(llm::fault::cut, true); });
    pause(400);
    each_call([](model_stream& c) { c.say({"at last"}); });
    pause(10);
    if (const auto& ack = two.commands.at(doomed).ack)
      for (const auto& answer : answers_of(*ack))
        two.stop(room, answer);
    each_call([](model_stream& c) { c.finish(); });
    pause(20);
    one.open_again(room);
    two.lose();
    one.send(room, "refused by the provider", std::vector<std::string>{"second"});
    pause(20);
    each_call([](model_stream& c) {
      if (c.what.model == "second") c.fail(llm::fault::status, false, 401);
    });
    one.send_again(one.sent.front());
    pause(50);
  }

  void check() {
    CHECK(come_to_rest(w, {room, quiet}, clients));
    for (const auto& wrong : broken_promises(w, {room, quiet}, clients))
      FAIL_CHECK(wrong);
    // What a restart finds is the same.
    w.restart();
    CHECK(come_to_rest(w, {room, quiet}, clients));
    for (const auto& wrong : broken_promises(w, {room, quiet}, clients))
      FAIL_CHECK(wrong);
  }

  world w;
  uuid room, quiet;
  faithful_client one{w, w.ana}, two{w, w.ana};
  std::vector<faithful_client*> clients{&one, &two};

private:
  void pause(std::int64_t ms) {
    w.settle();
    for (auto* c : clients)
      c->tend();
    w.advance(ms);
    for (auto* c : clients)
      c->tend();
    w.settle();
  }
  void each_call(const std::function<void(model_stream&)>& what) {
    for (const auto* name : {"restart", "continue"})
      for (std::size_t i = 0; i < w.model(name).calls.size(); ++i)
        if (const auto c = w.model(name).calls[i]; c->open) what(*c);
    w.settle();
  }
};

// Fails the operation `k` of the play, and whatever is asked within `ms` after it. False: there is none.
bool fail_at(std::size_t k, failure acted, std::int64_t ms) {
  play p;
  const failing fault(p.w, acted, k, ms);
  p.go();
  INFO(storage::word(acted) << " for " << ms << " ms at operation " << k << ", " << fault.at());
  p.check();
  return fault.met();
}

void fail_everywhere(failure acted, std::int64_t ms) {
  std::size_t k = 1;
  while (fail_at(k, acted, ms))
    ++k;
  CHECK(k > 50);
  CHECK(k < 2000);
}

} // namespace

TEST_CASE("the play without a fault keeps every promise and ends in all three ways", "[fault][store]") {
  play p;
  p.go();
  p.check();
  std::set<std::string> kinds;
  for (const auto& e : p.w.events(p.room))
    kinds.insert(e.kind);
  CHECK(kinds == std::set<std::string>{"message", "answer", "answer_failed", "answer_stopped"});
  CHECK(p.w.reached["agent.committed"] > 0);
}

TEST_CASE("no single operation of the store that fails costs anything", "[fault][store]") {
  fail_everywhere(failure::unavailable, 0);
}

TEST_CASE("no operation of the store that is refused for want of room costs anything", "[fault][store]") {
  fail_everywhere(failure::overloaded, 0);
}

TEST_CASE("a store that can do nothing for a while costs nothing, whenever it begins", "[fault][store]") {
  fail_everywhere(failure::unavailable, 3'000);
}

TEST_CASE("a disk that takes nothing for a while costs nothing, whenever it begins", "[fault][store]") {
  fail_everywhere(failure::full, 3'000);
}
