// Random people, models, faults and orders of events; after each run everything comes to rest, and what was
// promised is there. A run follows from its seed: MARU_SEED=N replays one.

#include <cstdlib>
#include <random>

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faithful_client.hpp"
#include "tests/support/seed.hpp"

using namespace maru;
using namespace maru::test;

namespace {

const std::vector<std::string> places{
    "agent.begin",    "agent.call",     "agent.committed",  "agent.context", "agent.ended",
    "agent.enqueued", "agent.mailbox",  "room.cancel",      "room.deliver",  "room.due",
    "room.schedule",  "room.scheduled", "agent.pieces",     "caller.start",  "relay.watch",
    "room.begun",     "room.committed", "room.finish",      "room.load",     "room.pieces",
    "room.post",      "room.retried",   "room.retry",       "room.stop",     "room.subscribe",
    "session.attach", "session.frame",  "session.snapshot", "user.command"};

class random_run {
public:
  explicit random_run(std::uint64_t seed) : random_(seed) {
    rooms_ = {w.add_room({"maru"}), w.add_room({"keeper", "second"})};
    for (auto* c : clients_)
      for (const auto& room : rooms_)
        c->open(room);
    for (auto* c : clients_) {
      w.settle();
      c->tend();
    }
    disorder();
  }

  void go() {
    for (auto left = below(60) + 20; left > 0; --left) {
      act();
      some_work();
    }
    calm_down();
    CHECK(come_to_rest(w, rooms_, clients_)); // what is asked for has come to the store
    for (int i = 0; i < 60 && scheduled_wait(); ++i)
      w.advance(5'000);
    CHECK(come_to_rest(w, rooms_, clients_));
    check_scheduled();
    for (const auto& wrong : broken_promises(w, rooms_, clients_))
      FAIL_CHECK(wrong);
  }

  world w;

private:
  std::size_t below(std::size_t n) { return random_() % n; }
  bool chance(std::size_t in_hundred) { return below(100) < in_hundred; }
  template <class List>
  auto& any(List& of) {
    return of[below(of.size())];
  }

  // Actors go on in any order that their mailboxes allow.
  void disorder() {
    w.rig().pick = [this](std::size_t waiting) { return below(waiting); };
  }

  void some_work() {
    if (chance(40)) {
      w.settle();
    } else {
      for (auto left = below(40); left > 0 && w.rig().run_one(); --left) {
      }
      if (chance(50)) storage::pump(w.rig().db());
    }
    for (auto* c : clients_)
      if (chance(60)) c->tend();
  }

  void act() {
    const auto what = below(100);
    if (what < 25) return post();
    if (what < 33) return stop();
    if (what < 37) return resend();
    if (what < 39) return retry();
    if (what < 41) return schedule();
    if (what < 45) return come_and_go();
    if (what < 70) return speak();
    if (what < 82) return pass_time();
    if (what < 90) return hold();
    if (what < 94) return crash();
    if (what < 97) return fail_store();
    end_process();
  }

  void post() {
    std::optional<std::vector<std::string>> agents;
    if (chance(25)) agents.emplace();
    if (chance(20)) agents = std::vector<std::string>{"maru", "keeper"};
    auto* c = any(clients_);
    c->send(any(rooms_), "message " + std::to_string(++messages_), agents);
  }

  // With its room; no matter whether it runs.
  std::optional<std::pair<uuid, uuid>> any_answer(const faithful_client& of) {
    std::vector<std::pair<uuid, uuid>> all;
    for (const auto& [id, command] : of.commands)
      if (command.ack && !command.is_stop)
        for (const auto& answer : answers_of(*command.ack))
          all.emplace_back(command.room, answer);
    if (all.empty()) return std::nullopt;
    return any(all);
  }

  void stop() {
    auto* c = any(clients_);
    if (const auto what = any_answer(*c)) c->stop(what->first, what->second);
  }

  // For soon; some are dropped again.
  void schedule() {
    const auto& room = any(rooms_);
    auto kept = std::make_shared<scheduled_wish>();
    kept->room = room;
    actors::api::schedule_message what;
    what.key = uuid::v7(0);
    what.id = what.key.str();
    what.room = room;
    what.text = "scheduled " + std::to_string(++messages_);
    what.at = w.rig().time().unix_ms() + static_cast<std::int64_t>(below(3'000));
    const auto ask = [this](actors::api::request call, std::function<void(const actors::api::reply&)> told) {
      caf::anon_send(w.api(), w.ana.str(), std::move(call), actors::api::replied{std::move(told)});
    };
    const auto drop = [ask, kept](const actors::api::reply& how) {
      if (std::holds_alternative<actors::api::posted>(how)) kept->dropped = true;
    };
    ask(what, [kept, ask, drop, drops = chance(30)](const actors::api::reply& how) {
      const auto* made = std::get_if<actors::api::posted>(&how);
      if (made == nullptr) return;
      kept->schedule = made->event;
      kept->drop_asked = drops;
      if (drops) ask(actors::api::cancel_scheduled{kept->room, made->event}, drop);
    });
    scheduled_.push_back(std::move(kept));
  }

  bool scheduled_wait() {
    return std::any_of(rooms_.begin(), rooms_.end(), [&](const auto& r) { return !w.entries(r).empty(); });
  }

  void check_scheduled() {
    std::map<std::string, std::size_t> ends;
    for (const auto& room : rooms_)
      for (const auto& e : w.events(room)) {
        const auto data = nlohmann::json::parse(e.data);
        if (data.contains("scheduled")) ++ends[data["scheduled"]["schedule"].get<std::string>()];
      }
    for (const auto& [schedule, count] : ends)
      if (count != 1) FAIL_CHECK("scheduled " << schedule << " came to " << count << " ends");
    for (const auto& s : scheduled_) {
      if (!s->schedule) continue;
      const bool sent = ends.contains(s->schedule->str());
      if (sent && s->dropped) FAIL_CHECK("scheduled " << s->schedule->str() << " was dropped and sent");
      if (!sent && !s->drop_asked) FAIL_CHECK("scheduled " << s->schedule->str() << " was lost");
    }
  }

  // Both at times: of the same person, each on a device of theirs.
  void retry() {
    auto* c = any(clients_);
    const auto what = any_answer(*c);
    if (!what) return;
    c->retry(what->first, what->second);
    if (chance(40)) any(clients_)->retry(what->first, what->second);
  }

  void resend() {
    auto* c = any(clients_);
    if (!c->sent.empty()) c->send_again(any(c->sent));
  }

  void come_and_go() {
    auto* c = any(clients_);
    if (chance(40)) return c->open_again(any(rooms_));
    if (chance(50)) c->forget_session();
    c->lose();
  }

  void speak() {
    std::vector<std::shared_ptr<model_stream>> open;
    for (const auto* name : {"restart", "continue"})
      for (const auto& c : w.model(name).calls)
        if (c->open) open.push_back(c);
    if (open.empty()) return post();
    auto& c = *any(open);
    if (chance(8)) return c.fail(llm::fault::cut, true);
    if (chance(3)) return c.fail(llm::fault::status, false, 400);
    std::vector<std::string> pieces;
    for (auto left = chance(10) ? 70 : below(4) + 1; left > 0; --left)
      pieces.push_back(std::to_string(++pieces_).append("p "));
    c.say(std::move(pieces));
    if (chance(40)) c.finish();
  }

  void pass_time() {
    static const std::vector<std::int64_t> times{1, 10, 50, 100, 250, 1'000, 5'000};
    w.advance(chance(2) ? 2LL * limits::room_idle_ms + 1 : any(times));
  }

  void hold() {
    auto& store = w.store();
    switch (below(6)) {
    case 0:
      return store.shut();
    case 1:
      return store.let(below(3) + 1);
    case 2:
      return store.open();
    case 3:
      return store.shut_reads();
    case 4:
      if (store.held_reads() > 0) store.let_read(below(store.held_reads()));
      return;
    default:
      return store.open_reads();
    }
  }

  void crash() {
    const auto& place = any(places);
    w.crash_at(place, below(3) + 1);
  }

  void fail_store() {
    const auto kind = chance(50) ? storage::failure::unavailable : storage::failure::full;
    w.store_fault = [kind, left = below(3) + 1](std::string_view operation) mutable {
      if (left == 0 || (kind == storage::failure::full && operation == "read")) return storage::failure::none;
      --left;
      return kind;
    };
  }

  void end_process() {
    if (++ends_ > 2) return;
    w.mend();
    if (chance(30)) {
      w.store().open();
      w.store().open_reads();
      w.restart_in_order();
    } else {
      w.restart();
    }
    disorder();
  }

  void calm_down() {
    w.mend();
    w.store_fault = nullptr;
    w.store().open();
    w.store().open_reads();
  }

  std::mt19937_64 random_;
  std::vector<uuid> rooms_;
  faithful_client one_{w, w.ana}, two_{w, w.ana};
  std::vector<faithful_client*> clients_{&one_, &two_};
  struct scheduled_wish {
    uuid room;
    std::optional<uuid> schedule;             // nothing: not heard of
    bool drop_asked = false, dropped = false; // asked, and told that it is
  };
  std::vector<std::shared_ptr<scheduled_wish>> scheduled_;
  std::size_t messages_ = 0, pieces_ = 0, ends_ = 0;
};

void run(std::uint64_t seed) {
  INFO("MARU_SEED=" << seed);
  try {
    random_run(seed).go();
  } catch (const std::exception& e) {
    FAIL_CHECK("threw: " << e.what());
  }
}

void run_many(std::uint64_t runs) {
  if (const auto* given = std::getenv("MARU_SEED")) return run(std::strtoull(given, nullptr, 10));
  const std::uint64_t first = std::uint64_t{maru::tests::seed()} << 20U;
  for (std::uint64_t i = 0; i < runs; ++i)
    run(first + i);
}

} // namespace

TEST_CASE("whatever happens in whichever order, every promise is kept", "[property]") { run_many(300); }

TEST_CASE("the same, for tens of thousands of runs", "[property][long]") { run_many(20'000); }
