// What an agent does with its questions: their order, what the model is told, attempts, checkpoints, and
// going on after whatever ended it.

#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;

namespace {

using changes = std::function<void(config::settings&)>;

struct asking {
  world w;
  uuid room;
  device* d;
  scripted_model& model;

  explicit asking(const std::vector<std::string>& agents = {"maru"}, const changes& change = {})
      : w(change), room(w.add_room(agents)), d(&w.watch(room)),
        model(w.model(agents.at(0) == "keeper" ? "continue" : "restart")) {}

  // The ids of the answers that were asked for.
  std::vector<uuid> post(actors::send_in what) {
    const auto id = d->send(std::move(what));
    w.settle();
    return answers_of(d->acks(id).at(0));
  }
  std::vector<uuid> post(const std::string& text, std::optional<std::vector<std::string>> agents = {}) {
    return post(message(text, std::move(agents)));
  }
  uuid ask(const std::string& text, std::optional<std::vector<std::string>> agents = {}) {
    return post(text, std::move(agents)).at(0);
  }
  [[nodiscard]] actors::send_in message(const std::string& text,
                                        std::optional<std::vector<std::string>> agents = {}) const {
    actors::send_in what;
    what.key = uuid::v7(0);
    what.id = what.key.str();
    what.room = room;
    what.text = text;
    what.agents = std::move(agents);
    return what;
  }
  uuid ask_below(const std::string& parent, const std::string& text,
                 std::optional<std::vector<std::string>> agents = {}) {
    auto what = message(text, std::move(agents));
    what.parent_is = actors::parent_rule::given;
    what.parent = uuid::parse(parent).value();
    return post(std::move(what)).at(0);
  }
  void say(std::vector<std::string> pieces) {
    model.last().say(std::move(pieces));
    w.settle();
  }
  void finish() {
    model.last().finish();
    w.settle();
  }
  void answer(const std::string& text) {
    say({text});
    finish();
  }
  void fail(llm::fault what = llm::fault::cut, bool retryable = true) {
    model.last().fail(what, retryable);
    w.settle();
  }
  // The process is gone; the same person comes back to the new one.
  void come_back() { d = &w.watch(room); }

  std::string event_of(const std::string& kind, const std::string& text) {
    for (const auto& e : w.events(room))
      if (e.kind == kind && nlohmann::json::parse(e.data)["text"] == text) return e.id.str();
    FAIL("there is no " << kind << " " << text);
    return "";
  }
  nlohmann::json end(const uuid& answer) { return end_of(w, room, answer); }
  [[nodiscard]] std::vector<nlohmann::json> frames_of(const uuid& answer, std::uint32_t attempt) const {
    std::vector<nlohmann::json> out;
    for (const auto& f : d->frames)
      if ((f["type"] == "answer" || f["type"] == "delta") && f["answer"] == answer.str() &&
          f["attempt"] == attempt)
        out.push_back(f);
    return out;
  }
  std::string checkpointed(const uuid& answer) {
    const auto image = w.rig().read([&](storage::reader& from) { return from.image(room, 0); }).value();
    for (const auto& c : image->checkpoints)
      if (c.answer == answer) return c.text;
    return "";
  }
};

std::string told(const model_stream& call) {
  std::string out;
  for (const auto& t : call.what.turns) {
    const auto* who = t.who == llm::role::system ? "system" : t.who == llm::role::user ? "user" : "model";
    out += (out.empty() ? "" : " | ") + std::string(who) + ": " + t.text;
  }
  return out;
}

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
  std::vector<actors::caller_actor> callers;
  // Stands between the agents and the callers, to see who they are.
  a.w.services().callers = a.w.rig().own(a.w.rig().system().spawn(
      [&callers](actors::callers_actor::pointer self,
                 const actors::callers_actor& real) -> actors::callers_actor::behavior_type {
        return {[self, &callers, real](actors::start_call& what, const actors::agent_actor& agent) {
          auto promise = self->make_response_promise<actors::caller_actor>();
          self->request(real, caf::infinite, std::move(what), agent)
              .then([promise, &callers](const actors::caller_actor& c) mutable {
                callers.push_back(c);
                promise.deliver(c);
              });
          return promise;
        }};
      },
      a.w.services().callers));
  const auto answer = a.ask("question");
  a.say({"text"});
  REQUIRE(callers.size() == 1);
  const auto gone = callers[0];
  callers.clear();
  a.w.rig().end(gone, caf::exit_reason::kill);
  CHECK(a.model.last().cancelled);
  a.w.advance(long_ms);
  REQUIRE(a.model.calls.size() == 2);
  a.answer("anew");
  CHECK(a.end(answer)["attempts"] == 2);
  CHECK(a.end(answer)["text"] == "anew");
  CHECK(a.w.violations().empty());
  callers.clear();
}

TEST_CASE("a call ends with its agent", "[scenario][agent]") {
  asking a;
  a.ask("question");
  a.w.crash_at("agent.pieces");
  a.say({"text"});
  REQUIRE(a.w.crashes == 1);
  CHECK(a.model.calls[0]->cancelled);
}

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
