// Actors that live and do not go on: found, replaced, and their work taken up. And what must not be taken for
// that.

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

constexpr std::int64_t minute_ms = limits::minute_ms;
constexpr std::int64_t till_found_ms = 2 * minute_ms; // of what waits for the store, and its backoff

template <class Part>
bool holds(const storage::step& what) {
  return std::any_of(what.parts.begin(), what.parts.end(),
                     [](const auto& p) { return std::holds_alternative<Part>(p); });
}

// The next step with such a part is never answered.
template <class Part>
void lose_next(world& w) {
  w.store().lose([left = 1](const storage::step& what) mutable { return holds<Part>(what) && left-- > 0; });
}

std::uint64_t stuck(world& w, std::string_view kind) {
  const auto what = metric::actor_restarts;
  return w.counts->value(what,
                         w.counts->place(what, w.counts->at(what, kind), w.counts->at(what, "stuck", 1)));
}

std::uint64_t stuck(world& w) {
  std::uint64_t all = 0;
  for (const auto* kind : {"store", "callers", "relay", "directory", "agents", "users", "rooms", "accounts",
                           "sessions", "scheduler", "api", "observer", "agent", "user", "room", "session"})
    all += stuck(w, kind);
  return all;
}

} // namespace

TEST_CASE("a room whose commit is never answered is replaced, and the command taken once",
          "[scenario][supervision]") {
  asking a;
  lose_next<storage::record_command>(a.w);
  const auto id = a.d->send(a.room, "question");
  a.w.advance(minute_ms / 2);
  CHECK(a.d->acks(id).empty());
  CHECK(stuck(a.w) == 0);
  a.w.advance(till_found_ms);
  CHECK(stuck(a.w, "room") == 1);
  CHECK(stuck(a.w) == 1); // and nobody who only waited for it
  REQUIRE(a.d->acks(id).size() == 1);
  CHECK_FALSE(a.d->closed);
  a.answer("text");
  CHECK(a.end(answers_of(a.d->acks(id).at(0)).at(0))["text"] == "text");
  CHECK(a.w.violations().empty());
}

TEST_CASE("a room that is never read is replaced, and opens", "[scenario][supervision]") {
  asking a;
  const auto other = a.w.add_room();
  a.w.store().lose_reads(1);
  a.d->open(other, 0);
  a.w.advance(till_found_ms);
  CHECK(stuck(a.w, "room") == 1);
  CHECK(stuck(a.w) == 1);
  CHECK(a.d->count("opened") == 2);
  CHECK(a.w.violations().empty());
}

TEST_CASE("an agent whose attempt is never begun is replaced, and answers as after a crash",
          "[scenario][supervision]") {
  asking a;
  a.ask("first");
  const auto second = a.ask("second");
  lose_next<storage::begin_attempt>(a.w);
  a.answer("one");
  a.w.advance(till_found_ms);
  CHECK(stuck(a.w, "agent") == 1);
  CHECK(stuck(a.w) == 1);
  REQUIRE(a.w.entries(a.room, "maru").size() == 1);
  CHECK(a.w.entries(a.room, "maru")[0].failures == 1);
  a.answer("two");
  CHECK(a.end(second)["text"] == "two");
  CHECK(a.w.violations().empty());
}

TEST_CASE("an agent whose end its room has lost is replaced, and the answer ends",
          "[scenario][supervision]") {
  asking a;
  const auto answer = a.ask("question");
  a.say({"text"});
  lose_next<storage::end_answer>(a.w);
  a.finish();
  a.w.advance(till_found_ms);
  CHECK(stuck(a.w, "room") == 1);
  CHECK(stuck(a.w) == 1); // the room owed it
  CHECK(a.end(answer)["text"] == "text");
  CHECK(a.d->events("answer").size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a session whose page is never read is replaced, and its device comes back",
          "[scenario][supervision]") {
  asking a;
  a.ask("question");
  a.answer("text");
  auto& d = a.w.connect();
  a.w.store().lose_reads(1);
  d.open(a.room, 0);
  a.w.advance(till_found_ms);
  CHECK(stuck(a.w, "session") == 1);
  CHECK(stuck(a.w) == 1);
  CHECK(d.closed == close_code::overloaded);
  CHECK_FALSE(a.d->closed);
  CHECK(a.w.watch(a.room).events("answer").size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a sweeper whose read never comes is replaced", "[scenario][supervision]") {
  world w;
  w.store().lose_reads(1);
  w.advance(till_found_ms);
  CHECK(stuck(w, "scheduler") == 1);
  CHECK(stuck(w) == 1);
  w.advance(till_found_ms);
  CHECK(stuck(w) == 1);
}

// --- no false alarm ----------------------------------------------------------------------------------------

TEST_CASE("nobody who waits for a slow store is to blame", "[scenario][supervision]") {
  asking a;
  a.w.store().shut();
  const auto id = a.d->send(a.room, "question");
  a.w.advance(10 * minute_ms);
  CHECK(stuck(a.w) == 0);
  a.w.store().open();
  a.w.settle();
  CHECK(a.d->acks(id).size() == 1);
  a.w.store().shut_reads();
  auto& d = a.w.dial(a.w.ana);
  a.w.settle();
  d.open(a.room, 0);
  a.w.advance(10 * minute_ms);
  CHECK(stuck(a.w) == 0);
  a.w.store().open_reads();
  a.w.settle();
  CHECK(a.w.violations().empty());
}

TEST_CASE("nobody who waits for a full disk is to blame", "[scenario][supervision]") {
  asking a;
  const auto answer = a.ask("question");
  a.w.store_fault = [](std::string_view operation) {
    return operation == "read" ? storage::failure::none : storage::failure::full;
  };
  a.answer("text");
  a.w.advance(10 * minute_ms);
  CHECK(stuck(a.w) == 0);
  a.w.store_fault = nullptr;
  a.w.advance(minute_ms);
  CHECK(a.end(answer)["text"] == "text");
}

TEST_CASE("a model may take its time, and so may an attempt that waits for the next",
          "[scenario][supervision]") {
  asking a({"maru"}, [](config::settings& s) {
    for (auto& p : s.providers)
      p.backoff_first_ms = p.backoff_most_ms = 600'000;
  });
  const auto answer = a.ask("question");
  a.ask("and one behind it");
  a.w.advance(10 * minute_ms);
  a.say({"slowly"});
  a.w.advance(10 * minute_ms);
  a.fail();
  a.w.advance(15 * minute_ms);
  CHECK(stuck(a.w) == 0);
  a.answer("text");
  CHECK(a.end(answer)["text"] == "text");
}

TEST_CASE("a device that reads nothing is no stuck session", "[scenario][supervision]") {
  asking a;
  for (std::size_t i = 0; i < 3 * limits::replay_page; ++i)
    a.d->send(a.room, "text", std::vector<std::string>{});
  a.w.settle();
  auto& d = a.w.connect();
  d.set_slow(true);
  d.open(a.room, 0);
  a.w.advance(10 * minute_ms);
  CHECK(stuck(a.w) == 0);
  CHECK_FALSE(d.closed);
}

TEST_CASE("a machine that slept has not found anybody stuck", "[scenario][supervision]") {
  asking a;
  lose_next<storage::record_command>(a.w);
  a.d->send(a.room, "question");
  a.w.advance(5'000);
  for (int i = 0; i < 2; ++i) {
    a.w.rig().time().advance(60 * minute_ms); // no timer of the actors went on meanwhile
    a.w.advance(5'000);
  }
  CHECK(stuck(a.w) == 0);
}

TEST_CASE("with stuck_seconds at 0 nobody is replaced", "[scenario][supervision]") {
  asking a({"maru"}, [](config::settings& s) { s.supervision.stuck_seconds = 0; });
  lose_next<storage::record_command>(a.w);
  a.d->send(a.room, "question");
  a.w.advance(10 * minute_ms);
  CHECK(stuck(a.w) == 0);
}

// --- what falls --------------------------------------------------------------------------------------------

TEST_CASE("whatever part of the tree falls, an answer that is being written is shown whole",
          "[scenario][supervision]") {
  const std::string part = GENERATE("store", "callers", "relay", "directory", "agents", "users", "rooms",
                                    "accounts", "sessions", "scheduler", "api", "observer");
  const std::string agent = GENERATE("maru", "keeper");
  CAPTURE(part, agent);
  asking a({agent});
  const auto answer = a.ask("question");
  a.say({"one ", "two "});
  a.w.end_child(part);
  a.w.advance(20'000);
  CHECK(a.w.restarts(part) == 1);
  CHECK_FALSE(a.w.gave_up);
  if (a.d->closed) {
    a.d = &a.w.connect(a.w.ana, a.d->session);
    a.d->open(a.room, 0);
    a.w.settle();
  }
  REQUIRE(a.model.open_calls() == 1); // taken up, by whomever
  a.say({"three ", "four"});
  const auto text = a.model.last().what.prefix + a.model.last().said;
  CHECK(a.d->shown(a.room, answer) == text);
  a.finish();
  CHECK(a.end(answer)["text"] == text);
  CHECK(text.ends_with("three four"));
  CHECK(a.d->events("answer").size() == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("a call that meets the fall of who serves it ends, wherever it was", "[scenario][supervision]") {
  const std::string part = GENERATE("store", "directory", "users", "rooms", "accounts", "api");
  CAPTURE(part);
  for (std::size_t steps = 0; steps < 42; steps += 3) {
    CAPTURE(steps);
    asking a;
    actors::send_in what = a.message("by HTTP", std::vector<std::string>{});
    // Told, or let go, which node.cpp answers as an interruption: both end the call.
    auto alive = std::make_shared<bool>(true);
    const std::weak_ptr<bool> held = alive;
    std::size_t told = 0;
    caf::anon_send(
        a.w.api(), a.w.ana.str(), actors::api::request{std::move(what)},
        actors::api::replied{[&told, alive = std::move(alive)](const actors::api::reply&) { ++told; }});
    for (std::size_t i = 0; i < steps; ++i)
      a.w.rig().run_one();
    a.w.end_child(part);
    a.w.advance(20'000);
    CHECK(told <= 1);
    CHECK(held.expired());
    CHECK(a.w.violations().empty());
  }
}

// --- nothing is left ---------------------------------------------------------------------------------------

namespace {

struct counted {
  std::size_t actors = 0, timers = 0, named = 0;
  std::uint64_t requests = 0;
  bool operator==(const counted&) const = default;
};

counted count(world& w) {
  counted out;
  out.actors = w.rig().system().registry().running();
  out.timers = w.rig().jobs().clock().schedule().size();
  const auto all =
      w.rig().ask_now<std::vector<actors::named_actor>>(w.services().root, actors::children_atom::value);
  for (const auto& child : all.value.value()) {
    const auto told = w.rig().ask_now<actors::probe_answer>(caf::actor_cast<caf::actor>(child.who),
                                                            actors::probe_atom::value);
    out.requests += told.value.value().requests;
  }
  for (const auto* of :
       {&w.services().rooms, &w.services().agents, &w.services().users, &w.services().sessions})
    out.named +=
        w.rig().ask_now<actors::nursery_health>(*of, actors::tree_atom::value).value->children.size();
  return out;
}

// Questions, stops, crashes, lost sockets, calls by HTTP, a provider that fails.
// How many actors there were at its height.
std::size_t load(world& w, std::size_t round) {
  const auto bob = w.add_user("bob" + std::to_string(round));
  const auto room = w.add_room();
  w.add_member(room, bob);
  auto& ana = w.watch(room);
  auto& other = w.connect(bob);
  other.open(room, 0);
  w.settle();
  for (int i = 0; i < 5; ++i) {
    const auto id = ana.send(room, "question");
    w.settle();
    w.model().last().say({"some ", "text"});
    w.settle();
    if (i == 1) w.model().last().fail(llm::fault::cut, true);
    if (i == 2) ana.stop(room, answers_of(ana.acks(id).at(0)).at(0));
    if (i == 3) w.crash_at("agent.pieces");
    if (i == 4) w.crash_at("room.pieces");
    w.settle();
    if (w.model().open_calls() > 0) w.model().last().say({"more"});
    w.advance(30'000);
    w.mend();
    if (w.model().open_calls() > 0) w.model().last().finish();
    w.settle();
  }
  const auto most = count(w).actors;
  other.lose();
  w.call(w.ana, actors::api::list_rooms{});
  w.call(bob, actors::api::get_room{room});
  w.end_child("relay");
  w.advance(30'000);
  w.watch(room).send(room, "and after the fall");
  w.settle();
  w.model().last().finish();
  for (auto& d : w.devices)
    d->lose();
  w.settle();
  return most;
}

constexpr std::int64_t rest_ms = 10 * minute_ms; // more than anybody stays without work

} // namespace

TEST_CASE("after load and rest, no actor, no request and no timer is left", "[scenario][supervision]") {
  world w;
  w.advance(rest_ms);
  const auto before = count(w);
  CHECK(before.named == 0);
  CHECK(before.requests == 0);
  for (std::size_t round = 0; round < 3; ++round)
    CHECK(load(w, round) > before.actors);
  w.advance(rest_ms);
  const auto after = count(w);
  CHECK(after.actors == before.actors);
  CHECK(after.timers == before.timers);
  CHECK(after.requests == before.requests);
  CHECK(after.named == 0);
  CHECK(w.violations().empty());
}
