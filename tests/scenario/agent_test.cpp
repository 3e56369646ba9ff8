// What an agent does with its questions: their order, what the model is told, and its attempts.

#include <caf/typed_event_based_actor.hpp>

#include "actors/callers.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

std::string told(const model_stream& call) {
  std::string out;
  for (const auto& t : call.what.turns) {
    const auto* who = t.who == llm::role::system ? "system" : t.who == llm::role::user ? "user" : "model";
    out += (out.empty() ? "" : " | ") + std::string(who) + ": " + t.text;
  }
  return out;
}

constexpr std::int64_t long_ms = 30'000; // more than any backoff

} // namespace

// --- order -------------------------------------------------------------------------------------------------

TEST_CASE("an agent answers one question at a time, in the order they were posted", "[scenario][agent]") {
  asking a;
  for (const auto* text : {"one", "two", "three"})
    a.ask(text);
  for (const auto* text : {"one", "two", "three"}) {
    CHECK(a.model.open_calls() == 1);
    CHECK(a.model.last().what.turns.back().text == text);
    a.answer(std::string("answer to ") + text);
  }
  CHECK(a.model.calls.size() == 3);
  CHECK(a.d->events("answer").size() == 3);
  CHECK(a.w.violations().empty());
}

TEST_CASE("the agents of a room answer the same question side by side", "[scenario][agent]") {
  asking a({"maru", "second"});
  const auto answers = a.post("question");
  REQUIRE(answers.size() == 2);
  REQUIRE(a.model.open_calls() == 2);
  for (auto& c : a.model.calls) {
    c->say({"from ", c->what.model});
    c->finish();
  }
  a.w.settle();
  CHECK(a.end(answers[0])["text"] == "from maru");
  CHECK(a.end(answers[1])["text"] == "from second");
  CHECK(a.w.violations().empty());
}

TEST_CASE("a question whose wake-up came late does not overtake the one before", "[scenario][agent]") {
  asking a;
  a.ask("zero");
  // The room falls after the commit of "one" and before its agent hears of it; "two" is posted right after.
  a.w.store().shut();
  const auto one = a.d->send(a.room, "one");
  a.w.settle();
  a.w.crash_at("room.committed");
  a.w.store().open();
  a.w.settle();
  REQUIRE(a.w.crashes == 1);
  a.answer("zero");
  a.w.store().shut_reads();
  a.w.advance(1000); // the room is started again and waits for its image
  const auto two = a.d->send(a.room, "two");
  a.w.settle();
  while (a.w.store().held_reads() > 0) {
    a.w.store().let_read(a.w.store().held_reads() - 1); // the agent's reading of its mailbox last
    a.w.settle();
  }
  a.w.store().open_reads();
  a.w.advance(1000);
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.turns.back().text == "one");
  a.answer("to one");
  a.w.advance(1000);
  REQUIRE(a.model.calls.size() == 3);
  CHECK(a.model.last().what.turns.back().text == "two");
  CHECK(a.d->acks(one).size() == 1);
  CHECK(a.d->acks(two).size() == 1);
  CHECK(a.w.violations().empty());
}

// --- what the model is told --------------------------------------------------------------------------------

TEST_CASE("the model is told the turns along the chain of parents, the question last", "[scenario][agent]") {
  asking a;
  a.ask("q1");
  a.answer("a1");
  a.ask("q2"); // below the newest
  CHECK(told(a.model.last()) == "user: q1 | model: a1 | user: q2");
  a.answer("a2");

  a.ask_below(a.event_of("answer", "a1"), "q3");
  CHECK(told(a.model.last()) == "user: q1 | model: a1 | user: q3");
  a.answer("a3");

  auto root = a.message("q4");
  root.parent_is = actors::parent_rule::root;
  a.post(root);
  CHECK(told(a.model.last()) == "user: q4");
  CHECK(a.w.violations().empty());
}

TEST_CASE("where the chain steps from message to message, the agent's own answer goes along",
          "[scenario][agent]") {
  asking a({"maru", "second"});
  a.post("q1");
  for (auto& c : a.model.calls) {
    c->say({"by " + c->what.model});
    c->finish();
  }
  a.w.settle();
  const auto q1 = a.event_of("message", "q1");
  for (const std::string agent : {"maru", "second"}) {
    a.ask_below(q1, "then " + agent, std::vector{agent});
    CHECK(told(a.model.last()) == "user: q1 | model: by " + agent + " | user: then " + agent);
    a.answer("well");
  }
  CHECK(a.w.violations().empty());
}

TEST_CASE("answers that were stopped or failed are not told to the model", "[scenario][agent]") {
  asking a;
  const auto stopped = a.ask("q1");
  a.say({"half an ans"});
  a.d->stop(a.room, stopped);
  a.w.settle();
  a.ask("q2");
  a.say({"another half"});
  a.fail(llm::fault::status, false);
  a.ask("q3");
  CHECK(told(a.model.last()) == "user: q1 | user: q2 | user: q3");
  CHECK(a.w.violations().empty());
}

TEST_CASE("the system prompt comes first, and the oldest turns give way to the budget", "[scenario][agent]") {
  asking a({"maru"}, [](config::settings& s) {
    s.agents[0].system_prompt = "be kind";
    s.agents[0].context_tokens = 50;
  });
  a.ask("q1");
  CHECK(told(a.model.last()) == "system: be kind | user: q1");
  a.answer(std::string(100, 'x'));
  a.ask("q2");
  CHECK(told(a.model.last()) ==
        "system: be kind | user: q1 | model: " + std::string(100, 'x') + " | user: q2");
  a.answer("short");
  a.ask("q3");
  CHECK(told(a.model.last()) == "system: be kind | user: q2 | model: short | user: q3");
  a.answer("short");
  // The question goes even if it alone is more than the budget.
  const std::string much(1000, 'y');
  a.ask(much);
  CHECK(told(a.model.last()) == "system: be kind | user: " + much);
}

// --- attempts ----------------------------------------------------------------------------------------------

TEST_CASE("a call that fails is made again after a wait that doubles", "[scenario][agent]") {
  asking a;
  const auto answer = a.ask("question");
  std::int64_t most = 250; // the first backoff; jitter takes up to half of it
  for (std::size_t calls = 1; calls < 5; ++calls, most *= 2) {
    a.fail(llm::fault::unreachable);
    a.w.advance(most / 2 - 1);
    CHECK(a.model.calls.size() == calls);
    a.w.advance(most / 2 + 10);
    REQUIRE(a.model.calls.size() == calls + 1);
  }
  a.answer("at last");
  CHECK(a.end(answer)["kind"] == "answer");
  CHECK(a.end(answer)["attempts"] == 5);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a provider's Retry-After is honoured, up to a minute", "[scenario][agent]") {
  const auto [asked, kept] = GENERATE(table<std::int64_t, std::int64_t>({{7'000, 7'000}, {600'000, 60'000}}));
  asking a;
  a.ask("question");
  a.model.last().fail(llm::fault::status, true, 429, std::chrono::milliseconds(asked));
  a.w.settle();
  a.w.advance(kept - 100);
  CHECK(a.model.calls.size() == 1);
  a.w.advance(200);
  CHECK(a.model.calls.size() == 2);
}

TEST_CASE("a retry after text was shown tells so, and begins with nothing or with what was kept",
          "[scenario][agent]") {
  const auto [agent, base, n] =
      GENERATE(table<std::string, std::string, std::uint64_t>({{"maru", "", 0}, {"keeper", "one two ", 2}}));
  CAPTURE(agent);
  asking a({agent});
  const auto answer = a.ask("question");
  a.say({"one ", "two "});
  a.fail();
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.prefix == base);
  a.say({"three"});
  const auto frames = a.frames_of(answer, 2);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0]["type"] == "answer");
  CHECK(frames[0]["state"] == "recovering");
  CHECK(frames[0]["n"] == n);
  CHECK(frames[0]["text"] == base);
  CHECK(frames[1]["type"] == "delta");
  CHECK(frames[1]["n"] == n + 1);
  a.finish();
  CHECK(a.end(answer)["text"] == base + "three");
  CHECK(a.end(answer)["attempts"] == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("what cannot get better by trying again fails at once, with its reason", "[scenario][agent]") {
  asking a;
  const auto answer = a.ask("question");
  const auto next = a.ask("next");
  a.say({"some "});
  a.model.last().fail(llm::fault::status, false, 401);
  a.w.settle();
  const auto end = a.end(answer);
  CHECK(end["kind"] == "answer_failed");
  CHECK(end["reason"]["code"] == std::string(llm::word(llm::fault::status)));
  CHECK(end["text"] == "some ");
  CHECK(a.w.entries(a.room, "maru").size() == 1);
  CHECK(a.model.last().what.turns.back().text == "next");
  a.answer("goes on");
  CHECK(a.end(next)["kind"] == "answer");
  CHECK(a.w.dead().empty());
  CHECK(a.w.violations().empty());
}

TEST_CASE("when the attempts are used up, the answer fails with the last reason", "[scenario][agent]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].attempts = 3; });
  const auto answer = a.ask("question");
  for (int i = 0; i < 2; ++i) {
    a.fail(llm::fault::cut);
    CHECK(a.end(answer).is_null());
    a.w.advance(long_ms);
  }
  a.say({"the last words"});
  a.fail(llm::fault::timed_out);
  a.w.advance(long_ms);
  CHECK(a.model.calls.size() == 3);
  CHECK(a.end(answer)["kind"] == "answer_failed");
  CHECK(a.end(answer)["reason"]["code"] == std::string(llm::word(llm::fault::timed_out)));
  CHECK(a.end(answer)["text"] == "the last words");
  CHECK(a.w.violations().empty());
}

TEST_CASE("the attempts of a provider are counted across a kill of the process", "[scenario][agent]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].attempts = 2; });
  const auto answer = a.ask("question");
  a.fail();
  a.w.advance(long_ms);
  a.w.restart();
  a.come_back();
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 3);
  a.fail();
  a.w.advance(long_ms);
  CHECK(a.model.calls.size() == 3);
  CHECK(a.end(answer)["kind"] == "answer_failed");
  CHECK(a.w.violations().empty());
}

TEST_CASE("a question to an agent that is no longer configured fails and does not stay",
          "[scenario][agent]") {
  bool there = true;
  asking a({"maru"}, [&there](config::settings& s) {
    if (!there) s.agents.erase(s.agents.begin());
  });
  const auto answer = a.ask("question");
  there = false;
  a.w.restart();
  a.come_back();
  a.w.advance(long_ms);
  CHECK(a.end(answer)["kind"] == "answer_failed");
  CHECK(a.w.entries(a.room, "maru").empty());
}

TEST_CASE("a caller that falls before its call is as good as a cut", "[scenario][agent]") {
  asking a;
  a.w.crash_at("caller.start");
  const auto answer = a.ask("question");
  REQUIRE(a.w.crashes == 1);
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 1);
  a.answer("text");
  CHECK(a.end(answer)["attempts"] == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a caller that vanishes in the middle of its call is as good as a cut", "[scenario][agent]") {
  asking a;
  const auto answer = a.ask("question");
  a.say({"text"});
  using callers = actors::callers_self::stateful_pointer<actors::callers_state>;
  auto* const of = dynamic_cast<callers>(caf::actor_cast<caf::abstract_actor*>(a.w.services().callers));
  REQUIRE(of != nullptr);
  REQUIRE(of->state.calls.size() == 1);
  const auto gone = of->state.calls.begin()->second.caller;
  a.w.rig().end(gone, caf::exit_reason::kill);
  CHECK(a.model.last().cancelled);
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 2);
  a.answer("anew");
  CHECK(a.end(answer)["attempts"] == 2);
  CHECK(a.end(answer)["text"] == "anew");
  CHECK(a.w.violations().empty());
}

TEST_CASE("a call ends with its agent", "[scenario][agent]") {
  asking a;
  a.ask("question");
  a.w.crash_at("agent.pieces");
  a.say({"text"});
  REQUIRE(a.w.crashes == 1);
  CHECK(a.model.calls[0]->cancelled);
}
