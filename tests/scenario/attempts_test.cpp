// What the attempts at an answer cost, what they may cost, and what is kept of it.

#include "actors/attempts.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

constexpr std::int64_t long_ms = 30'000;

std::vector<actors::attempt_cost> record(asking& a, const uuid& answer) {
  return actors::attempts_in(a.w.answer(answer).value().spent);
}

} // namespace

TEST_CASE("each attempt is on record with its provider, its end and its cost", "[scenario][attempts]") {
  asking a;
  const auto answer = a.ask("a question of some words");
  a.say({"some ", "text "});
  a.fail(llm::fault::cut);
  a.w.advance(long_ms);
  a.answer("all of it");
  const auto all = record(a, answer);
  REQUIRE(all.size() == 2);
  CHECK(all[0].attempt == 1);
  CHECK(all[0].provider == "restart");
  CHECK(all[0].how == llm::word(llm::fault::cut));
  CHECK(all[0].prompt_tokens > 0);
  CHECK(all[0].completion_tokens > 0);
  CHECK(all[0].estimated);
  CHECK(all[1].attempt == 2);
  CHECK(all[1].how == "answered");
  CHECK(all[1].prompt_tokens == 3); // as the model said
  CHECK(all[1].completion_tokens == 4);
  CHECK_FALSE(all[1].estimated);
}

TEST_CASE("a stopped call is on record with what was shown of it", "[scenario][attempts]") {
  asking a;
  const auto answer = a.ask("question");
  a.say({"some ", "text "});
  a.d->stop(a.room, answer);
  a.w.settle();
  const auto all = record(a, answer);
  REQUIRE(all.size() == 1);
  CHECK(all[0].how == "stopped");
  CHECK(all[0].provider == "restart");
  CHECK(all[0].completion_tokens == llm::estimate_tokens("some text "));
}

TEST_CASE("a question that is stopped before its call costs nothing", "[scenario][attempts]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  a.d->stop(a.room, second);
  a.w.settle();
  CHECK(record(a, second).empty());
}

TEST_CASE("an attempt that was lost with its process is on record as that", "[scenario][attempts]") {
  asking a;
  const auto answer = a.ask("question");
  a.say({"lost"});
  a.w.restart();
  a.come_back();
  a.w.advance(long_ms);
  a.answer("found");
  const auto all = record(a, answer);
  REQUIRE(all.size() == 2);
  CHECK(all[0].attempt == 1);
  CHECK(all[0].how == "lost");
  CHECK(all[0].prompt_tokens > 0);
  CHECK(all[1].attempt == 2);
  CHECK(all[1].how == "answered");
}

TEST_CASE("a failure that meets a full disk is on record once", "[scenario][attempts]") {
  asking a;
  const auto answer = a.ask("question");
  a.w.store_fault = [left = 1](std::string_view operation) mutable {
    if (operation != "apply:begin_attempt" || left == 0) return storage::failure::none;
    --left;
    return storage::failure::full;
  };
  a.fail();
  a.w.advance(long_ms);
  a.answer("text");
  a.w.advance(long_ms);
  CHECK(record(a, answer).size() == 2);
  CHECK(a.end(answer)["kind"] == "answer");
}

TEST_CASE("no further attempt is made when the tokens of an answer are spent", "[scenario][attempts]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].answer_tokens = 10; });
  const auto answer = a.ask("question");
  a.say({std::string(400, 'x')});
  a.fail();
  a.w.advance(long_ms);
  CHECK(a.model.calls.size() == 1);
  CHECK(a.end(answer)["kind"] == "answer_failed");
  CHECK(a.end(answer)["reason"]["code"] == "budget_spent");
  CHECK(a.end(answer)["text"] == std::string(400, 'x'));
  REQUIRE(a.w.dead().size() == 1);
  CHECK(a.w.dead()[0].reason == "budget_spent");
}

TEST_CASE("the tokens that were spent before a kill count on", "[scenario][attempts]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].answer_tokens = 150; });
  const auto answer = a.ask("question");
  a.say({std::string(400, 'x')});
  a.fail();
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 2);
  a.w.restart();
  a.come_back();
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 3);
  a.say({std::string(300, 'x')});
  a.fail();
  a.w.advance(long_ms);
  CHECK(a.end(answer)["reason"]["code"] == "budget_spent");
}

TEST_CASE("an answer that takes longer than it may ends with what it has", "[scenario][attempts]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].answer_seconds = 60; });
  const auto answer = a.ask("question");
  for (int i = 0; i < 59; ++i) {
    a.say({"on "});
    a.w.advance(1'000);
  }
  CHECK(a.end(answer).is_null());
  a.w.advance(5'000);
  CHECK(a.model.last().cancelled);
  CHECK(a.end(answer)["reason"]["code"] == "budget_spent");
  CHECK(a.end(answer)["text"].get<std::string>().starts_with("on on "));
  CHECK(record(a, answer).at(0).how == "budget_spent");
  CHECK(a.w.violations().empty());
}

TEST_CASE("neither what a call waits nor what the process is down counts as the time of an answer",
          "[scenario][attempts]") {
  asking a({"maru"}, [](config::settings& s) {
    s.providers[0].answer_seconds = 60;
    s.providers[0].rest_after = 1;
    s.providers[0].rest_first_ms = s.providers[0].rest_most_ms = 600'000;
  });
  const auto answer = a.ask("question");
  a.fail();
  a.w.advance(601'000);
  REQUIRE(a.model.calls.size() == 2);
  a.say({"slow"});
  a.w.advance(5'000);
  a.w.rig().time().advance(3'600'000); // nobody does anything
  a.w.restart();
  a.come_back();
  a.w.advance(long_ms);
  a.answer("done");
  CHECK(a.end(answer)["kind"] == "answer");
}

TEST_CASE("an attempt that fails before it is on disk is on record once", "[scenario][attempts]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].backoff_first_ms = 10; });
  const auto answer = a.ask("question");
  a.w.store().shut();
  a.fail();
  a.w.advance(100);
  REQUIRE(a.model.calls.size() == 2);
  a.fail(llm::fault::unreachable);
  a.w.advance(100);
  a.w.store().open();
  a.w.advance(long_ms);
  a.answer("text");
  const auto all = record(a, answer);
  REQUIRE(all.size() == 3);
  for (std::uint32_t i = 0; i < 3; ++i)
    CHECK(all[i].attempt == i + 1);
  CHECK(a.end(answer)["attempts"] == 3);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a question whose call waits in line expires there", "[scenario][attempts]") {
  asking a({"maru", "second"}, [](config::settings& s) {
    s.providers[0].calls = 1;
    s.limits.question_expires_seconds = 60;
  });
  const auto both = a.post("to both");
  a.say({"runs on"});
  a.w.advance(62'000);
  CHECK(a.end(both[1])["reason"]["code"] == "expired");
  CHECK(a.end(both[0]).is_null());
  a.finish();
  CHECK(a.end(both[0])["kind"] == "answer");
  CHECK(a.model.calls.size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("attempts that are used up leave a dead letter, and what is requeued begins anew",
          "[scenario][attempts]") {
  asking a({"maru"}, [](config::settings& s) { s.providers[0].attempts = 1; });
  const auto answer = a.ask("question");
  a.fail(llm::fault::unreachable);
  CHECK(a.end(answer)["reason"]["code"] == std::string(llm::word(llm::fault::unreachable)));
  REQUIRE(a.w.dead().size() == 1);
  CHECK(a.w.dead()[0].reason == "budget_spent");
  a.w.operate(actors::api::treat_dead{actors::api::dead_act::requeue, answer});
  a.w.settle();
  REQUIRE(a.model.calls.size() == 2);
  a.answer("now");
  CHECK(a.w.dead().empty());
  CHECK(a.w.ends(a.room).back().kind == "answer");
  CHECK(a.w.violations().empty());
}

TEST_CASE("what is no line of a record is left out", "[unit][attempts]") {
  actors::attempt_cost cost{2, "near", "cut", 5, 6, 7, 8, false};
  const auto line = actors::line_of_cost(cost);
  for (const auto& lines : {std::string("not json\n") + line, "[]\n" + line, "{\"attempt\":-1}\n" + line,
                            line + "{\"attempt\":9"}) {
    const auto all = actors::attempts_in(lines);
    REQUIRE(!all.empty());
    const auto& last = lines.starts_with("{\"attempt\":2") ? all.front() : all.back();
    CHECK(last.attempt == 2);
    CHECK(last.provider == "near");
    CHECK(last.completion_tokens == 8);
    CHECK_FALSE(last.estimated);
  }
}
