// Answers that go on: nothing told before it is on disk, checkpoints, kills and orderly ends of the process,
// agents asleep and lost wake-ups.

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

// Counts what reaches the store.
struct counted {
  counted(world& w, std::string operation) : w_(w) {
    w.store_fault = [this, operation = std::move(operation)](std::string_view now) {
      if (now == operation) ++times;
      return storage::failure::none;
    };
  }
  ~counted() { w_.store_fault = nullptr; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  std::size_t times = 0;

private:
  world& w_;
};

constexpr std::int64_t long_ms = 30'000; // more than any backoff
constexpr std::int64_t idle_ms = 2LL * limits::room_idle_ms + 10'000;

} // namespace

// --- the gate ----------------------------------------------------------------------------------------------

TEST_CASE("a model that answers before its attempt is on disk is not heard before", "[scenario][agent]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  a.w.store().shut();
  a.finish();
  a.w.store().let(1); // the end of the first; the beginning of the second waits
  a.w.settle();
  REQUIRE(a.model.calls.size() == 2);
  const auto before = a.d->frames.size();
  a.say({"early ", "words"});
  a.finish();
  CHECK(a.d->frames.size() == before);
  CHECK(a.d->shown(a.room, second) == "");

  a.w.store().open();
  a.w.settle();
  const auto frames = a.frames_of(second, 1);
  REQUIRE(frames.size() >= 2);
  CHECK(frames.back()["text"] == "early words");
  CHECK(a.end(second)["text"] == "early words");
  CHECK(a.w.violations().empty());
}

TEST_CASE("a question that is stopped while its attempt begins is not answered", "[scenario][agent]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  const auto third = a.ask("third");
  a.w.store().shut();
  a.finish();
  a.w.store().let(1);
  a.w.settle();
  a.say({"early"});
  const auto stop = a.d->stop(a.room, second);
  a.w.settle();
  a.w.store().open();
  a.w.settle();
  CHECK(a.d->acks(stop).size() == 1);
  CHECK(a.end(second)["kind"] == "answer_stopped");
  REQUIRE(a.model.calls.size() == 3);
  CHECK(a.model.calls[1]->cancelled);
  a.answer("text");
  CHECK(a.end(third)["kind"] == "answer");
  CHECK(a.w.violations().empty());
}

TEST_CASE("nothing of a retry is shown before its attempt is on disk", "[scenario][agent]") {
  asking a({"keeper"});
  const auto answer = a.ask("question");
  a.say({"one "});
  a.w.advance(long_ms);
  a.w.store().shut();
  a.fail();
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 2);
  a.say({"two"});
  CHECK(a.frames_of(answer, 2).empty());
  CHECK(a.d->shown(a.room, answer) == "one ");
  a.w.store().open();
  a.w.settle();
  CHECK(a.d->shown(a.room, answer) == "one two");
  CHECK(a.w.violations().empty());
}

// --- checkpoints -------------------------------------------------------------------------------------------

TEST_CASE("a streaming answer is kept at most every 100 ms, and not in the first 100", "[scenario][agent]") {
  asking a({"keeper"});
  const auto answer = a.ask("question");
  counted kept(a.w, "apply:append_checkpoint");
  std::string said;
  for (int i = 1; i <= 100; ++i) {
    a.w.advance(10);
    const auto piece = std::to_string(i) + " ";
    a.say({piece});
    said += piece;
    CHECK(kept.times <= static_cast<std::size_t>(i / 10));
  }
  CHECK(kept.times >= 8);
  a.w.advance(limits::checkpoint_ms);
  CHECK(a.checkpointed(answer) == said);
  const auto so_far = kept.times;
  a.w.advance(1000);
  CHECK(kept.times == so_far); // nothing new, nothing kept
  a.finish();
  CHECK(a.checkpointed(answer).empty());
  CHECK(a.end(answer)["text"] == said);
}

TEST_CASE("64 pieces are kept at once, one checkpoint at a time", "[scenario][agent]") {
  asking a({"keeper"});
  const auto answer = a.ask("question");
  counted kept(a.w, "apply:append_checkpoint");
  const std::vector<std::string> many(limits::checkpoint_pieces, "x");
  a.say(std::vector<std::string>(limits::checkpoint_pieces - 1, "x"));
  CHECK(kept.times == 0);
  a.say({"x"});
  CHECK(kept.times == 1);
  CHECK(a.checkpointed(answer).size() == many.size());

  a.w.store().shut();
  for (int i = 0; i < 3; ++i)
    a.say(many);
  CHECK(a.w.store().held() == 1);
  a.w.store().open();
  a.w.settle();
  CHECK(kept.times == 3); // what came while the second was under way is the third
  CHECK(a.checkpointed(answer).size() == 4 * many.size());
}

TEST_CASE("nothing is kept of an answer that would begin anew", "[scenario][agent]") {
  asking a;
  a.ask("question");
  counted kept(a.w, "apply:append_checkpoint");
  a.say(std::vector<std::string>(3 * limits::checkpoint_pieces, "x"));
  a.w.advance(1000);
  CHECK(kept.times == 0);
}

TEST_CASE("a checkpoint that is refused is made again with what has come since", "[scenario][agent]") {
  asking a({"keeper"});
  const auto answer = a.ask("question");
  std::size_t left = 2;
  a.w.store_fault = [&](std::string_view operation) {
    return operation == "apply:append_checkpoint" && left > 0 && left-- > 0 ? storage::failure::unavailable
                                                                            : storage::failure::none;
  };
  for (int i = 0; i < 50; ++i) {
    a.say({"x"});
    a.w.advance(100);
  }
  CHECK(left == 0);
  CHECK(a.checkpointed(answer) == std::string(50, 'x'));
  CHECK(a.d->shown(a.room, answer) == std::string(50, 'x'));
  CHECK(a.w.violations().empty());
}

// --- the process ends --------------------------------------------------------------------------------------

TEST_CASE("after a kill of the process the answer begins anew, or goes on from what was kept",
          "[scenario][agent]") {
  const std::string agent = GENERATE("maru", "keeper");
  CAPTURE(agent);
  asking a({agent});
  const auto answer = a.ask("question");
  a.say({"one ", "two "});
  a.w.advance(limits::checkpoint_ms + 10);
  a.say({"lost"});
  a.w.restart();
  const std::string base = agent == "keeper" ? "one two " : "";

  a.come_back();
  const auto opened = a.d->all("opened").at(0)["answers"];
  REQUIRE(opened.size() == 1);
  CHECK(opened[0]["state"] == "recovering");
  CHECK(opened[0]["attempt"] == 2);
  CHECK(opened[0]["text"] == base);
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.prefix == base);
  REQUIRE(a.w.entries(a.room, agent).size() == 1);
  CHECK(a.w.entries(a.room, agent)[0].losses == 1);
  CHECK(a.w.entries(a.room, agent)[0].failures == 0);
  a.answer("three");
  CHECK(a.end(answer)["text"] == base + "three");
  CHECK(a.end(answer)["attempts"] == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a kill costs at most the pieces since the last checkpoint", "[scenario][agent]") {
  asking a({"keeper"});
  a.ask("question");
  const auto pieces = GENERATE(std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{200});
  for (std::size_t i = 0; i < pieces; ++i)
    a.say({"x"});
  a.w.restart();
  a.w.settle();
  const auto kept = a.model.last().what.prefix.size();
  CHECK(kept <= pieces);
  CHECK(pieces - kept < limits::checkpoint_pieces);
}

TEST_CASE("what comes before its turn is not begun by a kill", "[scenario][agent]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  a.w.restart();
  a.come_back();
  a.answer("first");
  REQUIRE(a.model.calls.size() == 3);
  a.answer("second");
  CHECK(a.end(second)["attempts"] == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("an orderly end of the process keeps all that was shown", "[scenario][agent]") {
  const auto pieces = GENERATE(std::size_t{1}, std::size_t{70});
  asking a({"keeper"});
  const auto answer = a.ask("question");
  std::string said;
  for (std::size_t i = 0; i < pieces; ++i) {
    said += std::to_string(i) + " ";
    a.say({std::to_string(i) + " "});
  }
  a.w.restart_in_order();
  CHECK(a.model.calls[0]->cancelled);
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.prefix == said);
  a.come_back();
  CHECK(a.d->shown(a.room, answer) == said);
  a.answer("and on");
  CHECK(a.end(answer)["text"] == said + "and on");
  CHECK(a.w.violations().empty());
}

TEST_CASE("an agent that falls goes on from what it had kept", "[scenario][agent]") {
  asking a({"keeper"});
  const auto answer = a.ask("question");
  a.say({"one "});
  a.w.advance(limits::checkpoint_ms);
  a.w.crash_at("agent.pieces");
  a.say({"two "});
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.prefix == "one ");
  a.answer("three");
  CHECK(a.end(answer)["text"] == "one three");
  CHECK(a.w.violations().empty());
}

TEST_CASE("an end that the disk does not take is tried once a second, and told once", "[scenario][agent]") {
  // The room read itself again after each refusal and woke the agent, which asked for the end again, at once.
  asking a;
  const auto answer = a.ask("question");
  a.say({"text"});
  std::size_t groups = 0;
  a.w.store_fault = [&](std::string_view operation) {
    if (operation == "read") return storage::failure::none;
    groups += operation == "begin" ? 1 : 0;
    return storage::failure::full;
  };
  a.finish();
  a.w.advance(5'000);
  CHECK(groups >= 5);
  CHECK(groups < 30); // the end, and the room's reading behind it
  CHECK(a.d->events("answer").empty());
  a.w.store_fault = nullptr;
  a.w.advance(2'000);
  CHECK(a.end(answer)["text"] == "text");
  CHECK(a.d->events("answer").size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE(
    "an attempt that begins while the end of the one before waits for the disk is told, and ends the answer",
    "[scenario][agent]") {
  // The room took that end for ordered, and told nothing of the new attempt but its end.
  const bool end_comes_first = GENERATE(false, true);
  CAPTURE(end_comes_first);
  asking a;
  const auto answer = a.ask("question");
  a.say({"of the first"});
  a.w.store_fault = [](std::string_view operation) {
    return operation == "apply:end_answer" ? storage::failure::unavailable : storage::failure::none;
  };
  a.fail(llm::fault::status, false);

  caf::anon_send_exit(a.w.find<actors::agent_actor>(actors::agent_name{a.room, "maru"}),
                      caf::exit_reason::kill);
  a.w.probe = [&](std::string_view place) {
    if (place == "agent.begin") a.w.store().shut_reads();
  };
  for (int i = 0; i < 100 && a.w.store().held_reads() == 0; ++i)
    a.w.advance(100);
  REQUIRE(a.w.store().held_reads() > 0); // of what the next agent is to answer
  a.w.store().shut();
  if (!end_comes_first) a.w.store().open_reads();
  a.w.advance(limits::commit_again_ms);
  if (end_comes_first) a.w.store().open_reads();
  a.w.settle();
  REQUIRE(a.w.store().held() == 2);
  a.w.store().open();
  a.w.settle();
  a.w.store_fault = nullptr;

  a.answer("of the second");
  a.w.advance(long_ms);
  CHECK(a.end(answer)["text"] == "of the second");
  CHECK_FALSE(a.frames_of(answer, 2).empty());
  CHECK(a.w.violations().empty());
}

TEST_CASE("a waiting question that was stopped as its room fell is not asked", "[scenario][agent]") {
  // Nobody told the agent, and it kept the question behind all that came later.
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  const auto third = a.ask("third");
  a.w.crash_at("room.committed");
  const auto stop = a.d->stop(a.room, second);
  a.w.advance(long_ms);
  REQUIRE(a.w.crashes == 1);
  CHECK(a.d->acks(stop).size() == 1);
  a.answer("to the first");
  REQUIRE(a.model.calls.size() == 2);
  CHECK(a.model.last().what.turns.back().text == "third");
  a.answer("to the third");
  a.w.advance(long_ms);
  CHECK(a.model.calls.size() == 2);
  CHECK(a.end(third)["kind"] == "answer");
  CHECK(a.end(second)["kind"] == "answer_stopped");
  CHECK(a.w.violations().empty());
}

// --- asleep and awake --------------------------------------------------------------------------------------

TEST_CASE("idle agents and rooms end, and the next message wakes them", "[scenario][agent]") {
  asking a;
  a.ask("question");
  a.answer("text");
  a.d->leave(a.room);
  a.w.settle();
  const auto child = a.room.str() + "/maru";
  REQUIRE(a.w.lives("agents", child));
  REQUIRE(a.w.lives("rooms", a.room.str()));
  a.w.advance(idle_ms);
  CHECK_FALSE(a.w.lives("agents", child));
  CHECK_FALSE(a.w.lives("rooms", a.room.str()));

  const auto answer = a.ask("awake?");
  a.answer("yes");
  CHECK(a.end(answer)["text"] == "yes");
  CHECK(a.w.events(a.room).size() == 4);
  CHECK(a.w.violations().empty());
}

TEST_CASE("an agent that works, and a room that is watched, do not fall asleep", "[scenario][agent]") {
  asking a;
  const auto answer = a.ask("question");
  a.w.advance(2 * idle_ms);
  CHECK(a.model.calls.size() == 1);
  a.answer("slowly");
  CHECK(a.end(answer)["attempts"] == 1);
  a.w.advance(2 * idle_ms);
  CHECK(a.w.lives("rooms", a.room.str()));
  CHECK(a.d->count("opened") == 1);
}

namespace {

// A question in the store of which nobody was told.
uuid put_silently(asking& a, std::uint64_t seq) {
  const auto now = a.w.rig().time().unix_ms();
  const auto event = uuid::v7(now), answer = uuid::v7(now);
  const nlohmann::json data{{"text", "unheard"},
                            {"client_id", uuid::v7(now).str()},
                            {"answers", {{{"answer", answer.str()}, {"agent", "maru"}}}}};
  std::vector<storage::part> parts;
  parts.emplace_back(storage::append_event{
      {a.room, seq, event, "message", now, {"user", a.w.ana, "ana"}, {}, {}, data.dump()}});
  parts.emplace_back(storage::open_answer{{answer, a.room, event, seq, "maru", a.w.ana, 0, 0, {}, {}}});
  storage::mailbox_entry entry;
  entry.mailbox = actors::mailbox_of(a.room, "maru");
  entry.id = answer;
  entry.kind = "question";
  entry.body = std::to_string(a.w.services().life);
  entry.enqueued_at = entry.visible_at = now;
  parts.emplace_back(storage::enqueue{std::move(entry)});
  bool done = false;
  a.w.rig().db().submit({a.w.services().under(a.room), std::move(parts)},
                        [&done](const storage::outcome& how) { done = bool(how); });
  a.w.settle();
  REQUIRE(done);
  return answer;
}

} // namespace

TEST_CASE("the sweeper finds a question whose agent sleeps", "[scenario][agent]") {
  asking a;
  a.d->leave(a.room);
  a.w.advance(idle_ms);
  const auto answer = put_silently(a, 1);
  CHECK(a.model.calls.empty());
  a.w.advance(limits::sweep_ms + 10);
  REQUIRE(a.model.calls.size() == 1);
  a.answer("heard");
  CHECK(a.end(answer)["text"] == "heard");
}

TEST_CASE("the sweeper finds a question that an idle agent was not told of", "[scenario][agent]") {
  asking a;
  a.ask("question");
  a.answer("text");
  a.d->leave(a.room);
  a.w.rig().end(a.w.find<actors::room_actor>(actors::room_atom::value, a.room),
                caf::exit_reason::user_shutdown);
  REQUIRE(a.w.lives("agents", a.room.str() + "/maru"));
  const auto answer = put_silently(a, 3);
  CHECK(a.model.calls.size() == 1);
  a.w.advance(limits::sweep_ms + 10);
  CHECK(a.w.lives("agents", a.room.str() + "/maru"));
  REQUIRE(a.model.calls.size() == 2);
  a.answer("heard");
  CHECK(a.end(answer)["text"] == "heard");
  CHECK(a.w.violations().empty());
}
