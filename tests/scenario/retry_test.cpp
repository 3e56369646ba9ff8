// Asking anew for an answer that failed or was stopped.

#include "config/limits.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

constexpr std::int64_t a_while_ms = 10'000; // more than any backoff
const std::vector<std::string> nobody;

// A question whose answer has failed, and what its asker does about it.
struct failed_once : asking {
  explicit failed_once(const std::function<void(config::settings&)>& change = {})
      : asking({"maru"}, change), failed(ask("question")) {
    fail(llm::fault::status, false);
  }

  uuid retry(const uuid& which, std::optional<uuid> id = {}) {
    const auto key = d->retry(room, which, id);
    w.settle();
    return key;
  }
  // The answer that a retry has opened.
  [[nodiscard]] uuid opened_by(const uuid& command) const { return answers_of(d->acks(command).at(0)).at(0); }
  [[nodiscard]] std::string refused(const uuid& command) const {
    const auto errors = d->errors(command);
    return errors.empty() ? "" : errors.back()["code"].get<std::string>();
  }

  uuid failed;
};

} // namespace

TEST_CASE("a failed answer is asked for anew by its asker, and the old end stays", "[scenario][retry]") {
  failed_once a;
  const auto before = a.end(a.failed);
  REQUIRE(before["kind"] == "answer_failed");
  const auto command = a.retry(a.failed);
  REQUIRE(a.d->acks(command).size() == 1);
  const auto ack = a.d->acks(command)[0];
  CHECK(ack["seq"] == before["seq"]);
  CHECK(ack["duplicate"] == false);
  REQUIRE(ack["answers"].size() == 1);
  CHECK(ack["answers"][0]["agent"] == "maru");
  const auto fresh = a.opened_by(command);
  CHECK(fresh != a.failed);

  const auto frames = a.frames_of(fresh, 1);
  REQUIRE(!frames.empty());
  CHECK(frames[0]["state"] == "thinking");
  CHECK(frames[0]["question"] == before["question"]);
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.turns.back().text == "question");
  a.answer("better now");
}

TEST_CASE("the answer of a retry ends once, and is the question's", "[scenario][retry]") {
  failed_once a;
  const auto fresh = a.opened_by(a.retry(a.failed));
  a.say({"better "});
  a.say({"now"});
  a.finish();
  const auto end = a.end(fresh);
  CHECK(end["kind"] == "answer");
  CHECK(end["text"] == "better now");
  CHECK(end["question"] == a.end(a.failed)["question"]);
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.w.entries(a.room, "maru").empty());
  a.ask("next");
  CHECK(a.model.last().what.turns.size() == 3); // the question, its answer, the next
  CHECK(a.w.violations().empty());
}

TEST_CASE("a stopped answer is asked for anew, also while the agent is busy", "[scenario][retry]") {
  failed_once a;
  const auto stopped = a.ask("second");
  a.say({"some"});
  a.d->stop(a.room, stopped);
  a.w.settle();
  REQUIRE(a.end(stopped)["kind"] == "answer_stopped");
  const auto running = a.ask("third");
  const auto fresh = a.opened_by(a.retry(stopped));
  REQUIRE(!a.frames_of(fresh, 1).empty());
  CHECK(a.frames_of(fresh, 1)[0]["state"] == "queued");
  a.answer("of the third");
  CHECK(a.end(running)["text"] == "of the third");
  CHECK(a.model.last().what.turns.back().text == "second");
  a.answer("of the second");
  CHECK(a.end(fresh)["text"] == "of the second");
  CHECK(a.w.violations().empty());
}

TEST_CASE("what runs, is finished, or is asked for anew already is a conflict", "[scenario][retry]") {
  failed_once a;
  const auto running = a.ask("second");
  CHECK(a.refused(a.retry(running)) == "conflict");
  a.answer("text");
  CHECK(a.refused(a.retry(running)) == "conflict");

  const auto fresh = a.opened_by(a.retry(a.failed));
  CHECK(a.refused(a.retry(a.failed)) == "conflict");
  CHECK(a.refused(a.retry(fresh)) == "conflict");
  a.fail(llm::fault::status, false);
  const auto third = a.opened_by(a.retry(a.failed)); // the older one as well
  CHECK(a.refused(a.retry(fresh)) == "conflict");
  a.answer("at last");
  CHECK(a.end(third)["text"] == "at last");
  CHECK(a.refused(a.retry(a.failed)) == "conflict");
  CHECK(a.refused(a.retry(fresh)) == "conflict");
  CHECK(a.w.violations().empty());
}

TEST_CASE("each agent of a question is asked anew by itself", "[scenario][retry]") {
  failed_once a;
  const auto both = a.post("to both", std::vector<std::string>{"maru", "second"});
  a.model.calls.at(a.model.calls.size() - 2)->finish();
  a.w.settle();
  a.fail(llm::fault::status, false);
  const bool first_failed = a.end(both[0])["kind"] == "answer_failed";
  const auto& unlucky = first_failed ? both[0] : both[1];
  CHECK(a.refused(a.retry(first_failed ? both[1] : both[0])) == "conflict");
  const auto fresh = a.opened_by(a.retry(unlucky));
  a.answer("text");
  CHECK(a.end(fresh)["agent"] == a.end(unlucky)["agent"]);
}

TEST_CASE("only who asked may ask anew, and only in the answer's room", "[scenario][retry]") {
  failed_once a;
  const auto bob = a.w.add_user("bob");
  const auto eve = a.w.add_user("eve");
  const auto shared = a.w.add_room();
  a.w.add_member(shared, bob);
  const auto asked = a.d->send(shared, "question");
  a.w.settle();
  a.fail(llm::fault::status, false);
  const auto answer = answers_of(a.d->acks(asked).at(0)).at(0);

  const auto refused = [&](device& d, const uuid& room, const uuid& which) {
    const auto id = d.retry(room, which);
    a.w.settle();
    return d.errors(id).empty() ? "" : d.errors(id)[0]["code"].get<std::string>();
  };
  CHECK(refused(a.w.connect(bob), shared, answer) == "forbidden");
  CHECK(refused(a.w.connect(eve), shared, answer) == "not_found");
  CHECK(refused(*a.d, a.room, answer) == "not_found");
  CHECK(refused(*a.d, shared, uuid::v7(1)) == "not_found");
  CHECK(refused(*a.d, uuid::v7(1), answer) == "not_found");
  CHECK(refused(*a.d, shared, answer).empty());
  CHECK(a.d->commands_owed == 0);
}

TEST_CASE("a resend of a retry gives the same answer, for ever", "[scenario][retry]") {
  failed_once a;
  a.w.store().shut();
  const auto command = a.d->retry(a.room, a.failed);
  a.w.settle();
  a.retry(a.failed, command);
  CHECK(a.d->acks(command).empty());
  a.w.store().open();
  a.w.settle();
  REQUIRE(a.d->acks(command).size() == 2);
  CHECK(a.d->acks(command)[1]["duplicate"] == true);
  const auto fresh = a.opened_by(command);
  a.answer("text");

  a.retry(a.failed, command);
  a.w.restart();
  a.come_back();
  a.retry(a.failed, command);
  const auto acks = a.d->acks(command);
  REQUIRE(acks.size() == 1); // on this connection
  CHECK(acks[0]["duplicate"] == true);
  CHECK(answers_of(acks[0]) == std::vector{fresh});
  CHECK(acks[0]["seq"] == a.end(a.failed)["seq"]);

  const auto post = a.d->send(a.room, "a remark", nobody);
  a.w.settle();
  CHECK(a.refused(a.retry(a.failed, post)) == "conflict");
  CHECK(a.refused(a.retry(fresh, command)) == "conflict");
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a resend is known beyond what the room remembers", "[scenario][retry]") {
  failed_once a;
  const auto command = a.retry(a.failed);
  a.answer("text");
  for (std::size_t i = 0; i < limits::room_recent_commands; ++i)
    a.d->send(a.room, "a remark", nobody);
  a.w.settle();
  a.retry(a.failed, command);
  REQUIRE(a.d->acks(command).size() == 2);
  CHECK(a.d->acks(command)[1]["duplicate"] == true);
  CHECK(a.w.ends(a.room).size() == 2);
}

TEST_CASE("of two retries at a time one is taken, wherever they meet", "[scenario][retry]") {
  failed_once a;
  const std::string meet = GENERATE("while read", "on the way to the disk", "one after the other read");
  CAPTURE(meet);
  if (meet == "while read" || meet == "one after the other read") a.w.store().shut_reads();
  if (meet == "on the way to the disk") a.w.store().shut();
  const auto one = a.d->retry(a.room, a.failed);
  const auto two = a.d->retry(a.room, a.failed);
  a.w.settle();
  if (meet == "one after the other read") {
    a.w.store().let_read(1);
    a.w.settle();
  }
  a.w.store().open_reads();
  a.w.settle();
  a.w.store().open();
  a.w.settle();
  const auto taken = a.d->acks(one).size() + a.d->acks(two).size();
  CHECK(taken == 1);
  CHECK((a.refused(one) + a.refused(two)) == "conflict");
  a.answer("text");
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.model.calls.size() == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("wherever an actor falls, a retry is acked once and answered once", "[scenario][retry]") {
  const std::string place = GENERATE("user.command", "room.retry", "room.retried", "room.committed",
                                     "agent.enqueued", "agent.begin", "agent.context", "agent.call");
  CAPTURE(place);
  failed_once a;
  a.w.crash_at(place);
  const auto command = a.d->retry(a.room, a.failed);
  a.w.advance(a_while_ms);
  REQUIRE(a.w.crashes == 1);
  if (a.d->closed) { // the person's actor fell: their devices come back and send again
    a.come_back();
    a.retry(a.failed, command);
  }
  a.w.advance(a_while_ms);
  REQUIRE(a.d->acks(command).size() == 1);
  const auto fresh = a.opened_by(command);
  for (int i = 0; i < 5 && a.end(fresh).is_null(); ++i) {
    if (a.model.open_calls() > 0) a.answer("text");
    a.w.advance(a_while_ms);
  }
  CHECK(a.end(fresh)["text"] == "text");
  CHECK(a.w.ends(a.room).size() == 2);
  CHECK(a.w.dead().empty());
  CHECK(a.w.violations().empty());
}

TEST_CASE("a retry that is acked survives a kill, and one that is not is not there", "[scenario][retry]") {
  failed_once a;
  const bool acked = GENERATE(true, false);
  CAPTURE(acked);
  if (!acked) a.w.store().shut();
  const auto command = a.d->retry(a.room, a.failed);
  a.w.settle();
  CHECK(a.d->acks(command).size() == (acked ? 1 : 0));
  a.w.restart();
  a.come_back();
  const auto opened = a.d->all("opened").at(0)["answers"];
  CHECK(opened.size() == (acked ? 1 : 0));
  a.retry(a.failed, command);
  REQUIRE(a.d->acks(command).size() == 1);
  CHECK(a.d->acks(command)[0]["duplicate"] == acked);
  a.answer("text");
  CHECK(a.end(a.opened_by(command))["text"] == "text");
  CHECK(a.w.violations().empty());
}

TEST_CASE("a retry that the disk does not take is refused, and may be sent again", "[scenario][retry]") {
  failed_once a;
  a.w.store_fault = [](std::string_view operation) {
    return operation == "apply:expect_unanswered" ? storage::failure::full : storage::failure::none;
  };
  const auto command = a.retry(a.failed);
  CHECK(a.refused(command) == "storage_unavailable");
  a.w.store_fault = nullptr;
  a.retry(a.failed, command);
  CHECK(a.d->acks(command).size() == 1);
  a.answer("text");
  CHECK(a.w.ends(a.room).size() == 2);
}

TEST_CASE("a retry counts as a waiting question and in the rate of messages, a resend does not",
          "[scenario][retry]") {
  failed_once a([](config::settings& s) { s.limits.questions_waiting_per_user = 1; });
  const auto waiting = a.ask("second");
  const auto command = a.retry(a.failed);
  CHECK(a.refused(command) == "overloaded");
  a.answer("text");
  CHECK(a.end(waiting)["kind"] == "answer");
  a.retry(a.failed, command);
  REQUIRE(a.d->acks(command).size() == 1);
  a.retry(a.failed, command);
  CHECK(a.d->acks(command).size() == 2);
  const auto more = a.d->send(a.room, "third");
  a.w.settle();
  CHECK(a.refused(more) == "overloaded");

  failed_once b([](config::settings& s) { s.limits.messages_per_minute_per_user = 2; });
  b.d->send(b.room, "a remark", nobody);
  const auto beyond = b.retry(b.failed);
  CHECK(b.refused(beyond) == "rate_limited");
  b.w.advance(limits::minute_ms);
  b.retry(b.failed, beyond);
  CHECK(b.d->acks(beyond).size() == 1);
}

TEST_CASE("where an agent has all the questions it may have, a retry waits outside", "[scenario][retry]") {
  failed_once a([](config::settings& s) { s.limits.questions_waiting_per_user = 0; });
  for (std::size_t i = 0; i < limits::agent_questions_waiting; ++i)
    a.d->send(a.room, "question");
  a.w.settle();
  CHECK(a.refused(a.retry(a.failed)) == "overloaded");
  a.finish();
  CHECK(a.refused(a.retry(a.failed)).empty());
}

TEST_CASE("an agent that is configured no longer is not asked anew", "[scenario][retry]") {
  bool gone = false;
  failed_once a([&](config::settings& s) {
    if (gone) std::erase_if(s.agents, [](const auto& agent) { return agent.name == "maru"; });
  });
  gone = true;
  a.w.restart();
  a.come_back();
  CHECK(a.refused(a.retry(a.failed)) == "conflict");
}

TEST_CASE("by HTTP a retry is taken like over a socket", "[scenario][retry]") {
  failed_once a;
  const auto key = uuid::v7(0);
  const actors::api::request what{actors::api::retry_answer{key.str(), key, a.room, a.failed}};
  const auto first = a.w.call(a.w.ana, what);
  const auto& posted = std::get<actors::api::posted>(first);
  CHECK_FALSE(posted.duplicate);
  REQUIRE(posted.answers.size() == 1);
  const auto again = a.w.call(a.w.ana, what);
  CHECK(std::get<actors::api::posted>(again).duplicate);
  CHECK(std::get<actors::api::posted>(again).answers[0].answer == posted.answers[0].answer);
}
