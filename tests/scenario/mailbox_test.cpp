// What is given up of a mailbox, why, and its ways back.

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

namespace api = actors::api;

constexpr std::int64_t a_while_ms = 10'000; // more than any backoff
constexpr std::uint32_t expiry_seconds = 60;

// Kills its agent until it is given up.
uuid poisoned(asking& a, const std::string& text = "poison") {
  const auto answer = a.ask(text);
  a.w.crash_always("agent.pieces");
  for (int i = 0; i < 40 && a.end(answer).is_null(); ++i) {
    if (a.model.open_calls() > 0) a.say({"text"});
    a.w.advance(30'000);
  }
  a.w.mend();
  REQUIRE(a.end(answer)["kind"] == "answer_failed");
  return answer;
}

std::function<void(config::settings&)> expiring(std::uint32_t seconds = expiry_seconds) {
  return [seconds](config::settings& s) { s.limits.question_expires_seconds = seconds; };
}

code refused(const api::reply& how) {
  const auto* why = std::get_if<refusal>(&how);
  return why != nullptr ? why->why : code::ok;
}

uuid requeued(asking& a, const uuid& letter) {
  const auto how = a.w.operate(api::treat_dead{api::dead_act::requeue, letter});
  return std::get<api::posted>(how).answers.at(0).answer;
}

} // namespace

TEST_CASE("a poisoned question that is requeued is answered, and its dead letter is gone",
          "[scenario][mailbox]") {
  asking a;
  const auto answer = poisoned(a);
  REQUIRE(a.w.dead().size() == 1);
  const auto fresh = requeued(a, answer);
  CHECK(a.w.dead().empty());
  CHECK(a.w.answer(fresh)->asker == a.w.ana);
  CHECK(a.w.entries(a.room, "maru").at(0).failures == 0);
  CHECK(!a.frames_of(fresh, 1).empty());
  a.answer("text");
  CHECK(a.end(fresh)["text"] == "text");
  CHECK(a.end(fresh)["question"] == a.end(answer)["question"]);
  CHECK(refused(a.w.operate(api::treat_dead{api::dead_act::requeue, answer})) == code::not_found);
  CHECK(a.w.violations().empty());
}

TEST_CASE("its asker takes a question out of the dead letters, too", "[scenario][mailbox]") {
  asking a;
  const auto answer = poisoned(a);
  const auto command = a.d->retry(a.room, answer);
  a.w.settle();
  CHECK(a.d->acks(command).size() == 1);
  CHECK(a.w.dead().empty());
  CHECK(refused(a.w.operate(api::treat_dead{api::dead_act::requeue, answer})) == code::not_found);
}

TEST_CASE("requeueing is not held to the limits of the asker", "[scenario][mailbox]") {
  asking a({"maru"}, [](config::settings& s) { s.limits.questions_waiting_per_user = 1; });
  const auto answer = poisoned(a);
  a.ask("another");
  const auto fresh = requeued(a, answer);
  a.answer("of the other");
  a.answer("of the requeued");
  CHECK(a.end(fresh)["text"] == "of the requeued");
}

TEST_CASE("of a requeue and a retry at a time, and of two requeues, one is taken", "[scenario][mailbox]") {
  asking a;
  const auto answer = poisoned(a);
  a.w.store().shut();
  const auto command = a.d->retry(a.room, answer);
  a.w.settle();
  const auto second = a.d->retry(a.room, answer);
  CHECK(refused(a.w.operate(api::treat_dead{api::dead_act::requeue, answer})) == code::conflict);
  a.w.store().open();
  a.w.settle();
  CHECK(a.d->acks(command).size() == 1);
  CHECK(a.d->errors(second).size() == 1);
  a.answer("text");
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("wherever an actor falls, what is requeued is answered once or still buried",
          "[scenario][mailbox]") {
  const std::string place = GENERATE("api.take", "api.treat", "room.retry", "room.retried", "room.committed",
                                     "agent.enqueued", "agent.context");
  CAPTURE(place);
  asking a;
  const auto answer = poisoned(a);
  a.w.advance(60'000);
  a.w.crash_at(place);
  caf::anon_send(a.w.api(), a.w.services().control_token,
                 api::request{api::treat_dead{api::dead_act::requeue, answer}},
                 api::replied{[](const api::reply&) {}});
  a.w.advance(a_while_ms);
  REQUIRE(a.w.crashes > limits::poison_failures);
  if (!a.w.dead().empty()) requeued(a, answer);
  for (int i = 0; i < 5 && a.w.ends(a.room).size() < 2; ++i) {
    if (a.model.open_calls() > 0) a.answer("text");
    a.w.advance(a_while_ms);
  }
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.w.ends(a.room).back().kind == "answer");
  CHECK(a.w.dead().empty());
  CHECK(a.w.violations().empty());
}

TEST_CASE("a requeue whose room falls over it is done by the next one, and told as done",
          "[scenario][mailbox]") {
  const std::string place = GENERATE("room.retry", "room.retried", "room.committed");
  const bool all = GENERATE(false, true);
  CAPTURE(place, all);
  asking a;
  const auto answer = poisoned(a);
  a.w.crash_at(place);
  std::optional<api::reply> how;
  const auto what = all ? api::request{api::treat_all_dead{api::dead_act::requeue, {}, {}}}
                        : api::request{api::treat_dead{api::dead_act::requeue, answer}};
  caf::anon_send(a.w.api(), a.w.services().control_token, what,
                 api::replied{[&](api::reply got) { how = std::move(got); }});
  a.w.advance(a_while_ms);
  CHECK(a.w.dead().empty());
  if (all) {
    CHECK(std::get<api::treated>(how.value()).done == 1);
    CHECK(std::get<api::treated>(how.value()).refused.empty());
  } else if (place == "room.committed") {
    CHECK(refused(how.value()) == code::conflict); // it was taken up; by whom is not known
  } else {
    CHECK(std::get<api::posted>(how.value()).answers.size() == 1);
  }
  if (a.model.open_calls() == 0) a.w.advance(a_while_ms);
  a.answer("text");
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("dead letters are listed newest first, by mailbox and reason, page by page",
          "[scenario][mailbox]") {
  asking a;
  std::vector<uuid> all;
  for (int i = 0; i < 3; ++i)
    all.push_back(poisoned(a, std::to_string(i)));
  const auto list = [&](const storage::dead_filter& which, std::optional<std::string> cursor,
                        std::size_t limit) {
    return std::get<api::dead_list_view>(a.w.operate(api::list_dead{which, std::move(cursor), limit}));
  };
  const auto page = list({}, {}, 2);
  REQUIRE(page.letters.size() == 2);
  CHECK(page.letters[0].entry.id == all[2]);
  CHECK(page.letters[1].entry.id == all[1]);
  const auto rest = list({}, page.next, 2);
  REQUIRE(rest.letters.size() == 1);
  CHECK(rest.letters[0].entry.id == all[0]);
  CHECK(rest.next.empty());
  CHECK(list({actors::mailbox_of(a.room, "maru"), "poison"}, {}, 10).letters.size() == 3);
  CHECK(list({actors::mailbox_of(a.room, "second"), {}}, {}, 10).letters.empty());
  CHECK(list({{}, "expired"}, {}, 10).letters.empty());
  CHECK(refused(a.w.operate(api::list_dead{{}, "x", 10})) == code::invalid_field);
  const auto one = std::get<api::dead_view>(a.w.operate(api::get_dead{all[0]}));
  CHECK(one.letter.reason == "poison");
  CHECK(one.letter.entry.failures == limits::poison_failures - 1); // the last is not written down
  CHECK(one.answer->asker == a.w.ana);
  CHECK(refused(a.w.operate(api::get_dead{uuid::v7(1)})) == code::not_found);
  CHECK(refused(a.w.call(a.w.ana, api::list_dead{})) == code::forbidden);
}

TEST_CASE("all dead letters that are meant are requeued or purged, and those that cannot be say why",
          "[scenario][mailbox]") {
  asking a;
  const auto first = poisoned(a, "first");
  const auto second = poisoned(a, "second");
  const auto third = poisoned(a, "third");
  // Its asker takes the second out, after all three were looked up.
  a.w.store().shut();
  const auto command = a.d->retry(a.room, second);
  a.w.settle();
  const auto how = [&] {
    std::optional<api::reply> out;
    caf::anon_send(a.w.api(), a.w.services().control_token,
                   api::request{api::treat_all_dead{api::dead_act::requeue, {}, {}}},
                   api::replied{[&](api::reply got) { out = std::move(got); }});
    a.w.settle();
    a.w.store().open();
    a.w.settle();
    return std::get<api::treated>(std::move(out).value());
  }();
  CHECK(a.d->acks(command).size() == 1);
  CHECK(how.done == 2);
  CHECK(how.refused.empty());
  CHECK(how.next.empty());
  CHECK(a.w.dead().empty());
  for (int i = 0; i < 3; ++i)
    a.answer("text");
  CHECK(a.w.ends(a.room).size() == 6);

  const auto fourth = poisoned(a, "fourth");
  const auto fifth = poisoned(a, "fifth");
  const auto purge = [&](const storage::dead_filter& which) {
    return std::get<api::treated>(a.w.operate(api::treat_all_dead{api::dead_act::purge, which, {}})).done;
  };
  CHECK(purge({{}, "expired"}) == 0);
  CHECK(std::get<api::treated>(a.w.operate(api::treat_dead{api::dead_act::purge, fourth})).done == 1);
  CHECK(refused(a.w.operate(api::treat_dead{api::dead_act::purge, fourth})) == code::not_found);
  CHECK(purge({{}, "poison"}) == 1);
  CHECK(a.w.dead().empty());
  CHECK(a.end(fifth)["kind"] == "answer_failed"); // what was told stays told
  CHECK(a.w.answer(first).has_value());
  CHECK(a.w.answer(third).has_value());
  CHECK(a.w.violations().empty());
}

TEST_CASE("mailboxes are shown with what waits in them", "[scenario][mailbox]") {
  asking a;
  for (int i = 0; i < 3; ++i) {
    a.ask(std::to_string(i));
    a.w.advance(1000);
  }
  a.ask("to another", std::vector<std::string>{"second"});
  const auto all = std::get<api::mailboxes_view>(a.w.operate(api::list_mailboxes{}));
  REQUIRE(all.mailboxes.size() == 2);
  const auto mailbox = actors::mailbox_of(a.room, "maru");
  CHECK(all.mailboxes[0].mailbox == mailbox);
  CHECK(all.mailboxes[0].depth == 3);
  CHECK(all.mailboxes[0].oldest_at + 3000 == all.mailboxes[1].oldest_at);
  const auto first = std::get<api::mailboxes_view>(a.w.operate(api::list_mailboxes{{}, 1}));
  CHECK(first.next == mailbox);
  const auto rest = std::get<api::mailboxes_view>(a.w.operate(api::list_mailboxes{first.next, 1}));
  CHECK(rest.mailboxes.at(0).mailbox == actors::mailbox_of(a.room, "second"));

  const auto page = std::get<api::entries_view>(a.w.operate(api::list_entries{mailbox, {}, 2}));
  REQUIRE(page.entries.size() == 2);
  const auto last = std::get<api::entries_view>(a.w.operate(api::list_entries{mailbox, page.next, 2}));
  REQUIRE(last.entries.size() == 1);
  CHECK(last.next.empty());
  CHECK(last.entries[0].seq > page.entries[1].seq);
}

TEST_CASE("what cannot be requeued stays and says why", "[scenario][mailbox]") {
  bool gone = false;
  asking a({"maru"}, [&](config::settings& s) {
    if (gone) std::erase_if(s.agents, [](const auto& agent) { return agent.name == "maru"; });
  });
  const auto answer = poisoned(a);
  gone = true;
  a.w.restart();
  const auto how = std::get<api::treated>(a.w.operate(api::treat_all_dead{api::dead_act::requeue, {}, {}}));
  CHECK(how.done == 0);
  REQUIRE(how.refused.size() == 1);
  CHECK(how.refused[0].id == answer);
  CHECK(how.refused[0].why.why == code::conflict);
  CHECK(a.w.dead().size() == 1);
}

// --- expiry ------------------------------------------------------------------------------------------------

TEST_CASE("a question that waits too long for its agent fails as expired, and one being answered does not",
          "[scenario][mailbox]") {
  asking a({"maru"}, expiring());
  const auto running = a.ask("first");
  const auto waiting = a.ask("second");
  a.say({"some "});
  a.w.advance(expiry_seconds * 1000 - 1000);
  CHECK(a.end(waiting).is_null());
  const auto late = a.ask("third");
  a.w.advance(3000);
  const auto end = a.end(waiting);
  REQUIRE(!end.is_null());
  CHECK(end["kind"] == "answer_failed");
  CHECK(end["reason"]["code"] == "expired");
  CHECK(end["text"] == "");
  REQUIRE(a.w.dead().size() == 1);
  CHECK(a.w.dead()[0].reason == "expired");
  CHECK(a.w.dead()[0].entry.id == waiting);
  a.answer("text");
  CHECK(a.end(running)["text"] == "some text");
  CHECK(a.model.last().what.turns.back().text == "third");
  a.answer("in time");
  CHECK(a.end(late)["text"] == "in time");

  const auto fresh = requeued(a, waiting);
  a.answer("after all");
  CHECK(a.end(fresh)["text"] == "after all");
  CHECK(a.w.violations().empty());
}

TEST_CASE(
    "what expired while its agent was down is given up when it comes back, and asked for anew by its asker",
    "[scenario][mailbox]") {
  asking a({"maru"}, expiring(1));
  const auto first = a.ask("first");
  const auto second = a.ask("second");
  a.w.crash_at("agent.pieces");
  a.model.last().say({"text"});
  a.w.rig().time().advance(5000); // before anybody does anything
  a.w.advance(a_while_ms);
  REQUIRE(a.w.crashes == 1);
  for (const auto& answer : {first, second}) {
    CHECK(a.end(answer)["kind"] == "answer_failed");
    CHECK(a.end(answer)["reason"]["code"] == "expired");
  }
  CHECK(a.w.dead().size() == 2);
  CHECK(a.model.calls.size() == 1);
  const auto command = a.d->retry(a.room, second);
  a.w.settle();
  a.answer("text");
  CHECK(a.end(answers_of(a.d->acks(command).at(0)).at(0))["text"] == "text");
  CHECK(a.w.dead().size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a room that falls while questions expire ends each once", "[scenario][mailbox]") {
  asking a({"maru"}, expiring());
  a.ask("first");
  const auto second = a.ask("second");
  const auto third = a.ask("third");
  a.w.crash_at(GENERATE("room.finish", "room.committed"));
  a.w.advance(expiry_seconds * 1000 + a_while_ms);
  REQUIRE(a.w.crashes == 1);
  CHECK(a.end(second)["reason"]["code"] == "expired");
  CHECK(a.end(third)["reason"]["code"] == "expired");
  CHECK(a.w.ends(a.room).size() == 2);
  a.answer("text");
  CHECK(a.w.ends(a.room).size() == 3);
  CHECK(a.w.entries(a.room, "maru").empty());
  CHECK(a.w.violations().empty());
}

TEST_CASE("without the option no question expires", "[scenario][mailbox]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  CHECK_FALSE(a.w.entries(a.room, "maru").at(0).expires_at);
  a.w.advance(2LL * limits::agent_idle_ms);
  CHECK(a.end(second).is_null());
}

TEST_CASE("questions to an agent that was taken out of the configuration are kept for the operator",
          "[scenario][mailbox]") {
  bool taken_out = false;
  asking a({"maru"}, [&](config::settings& s) {
    if (taken_out) std::erase_if(s.agents, [](const auto& agent) { return agent.name == "maru"; });
  });
  const auto first = a.ask("begun");
  a.say({"some "});
  const auto second = a.ask("waits");
  taken_out = true;
  a.w.restart();
  a.come_back();
  a.w.advance(60'000);
  for (const auto& answer : {first, second}) {
    CHECK(a.end(answer)["kind"] == "answer_failed");
    CHECK(a.end(answer)["reason"]["code"] == "no_such_agent");
  }
  REQUIRE(a.w.dead().size() == 2);
  for (const auto& letter : a.w.dead())
    CHECK(letter.reason == "refused");

  taken_out = false;
  a.w.restart();
  a.come_back();
  const auto how = std::get<api::treated>(a.w.operate(api::treat_all_dead{api::dead_act::requeue, {}, {}}));
  CHECK(how.done == 2);
  a.answer("after all");
  a.answer("and this");
  CHECK(a.d->events("answer").size() == 2);
  CHECK(a.w.dead().empty());
  CHECK(a.w.violations().empty());
}
