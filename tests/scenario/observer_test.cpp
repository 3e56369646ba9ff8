// What an operator sees: actors that live, fall and wait, mailboxes, and how answers end.

#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/observer.hpp"
#include "config/limits.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/numbers.hpp"

using namespace maru;
using namespace maru::test;
using maru::tests::numbers;

namespace {

// Starts a scrape; the numbers once they came.
std::shared_ptr<std::optional<numbers>> scrape(world& w) {
  const auto out = std::make_shared<std::optional<numbers>>();
  actors::observed tell = [out, counts = w.counts](const std::vector<reading>& all) {
    out->emplace(counts->render(all));
  };
  caf::anon_send(w.observer(), std::move(tell));
  w.settle();
  return out;
}

numbers read(world& w) {
  const auto came = scrape(w);
  REQUIRE(came->has_value());
  return **came;
}

std::string of(const std::string& name, const std::string& actor) {
  return name + "{actor=\"" + actor + "\"}";
}

std::string restarts(const std::string& actor, const std::string& reason) {
  return "maru_actor_restarts_total{actor=\"" + actor + "\",reason=\"" + reason + "\"}";
}

std::string ends(const std::string& how) { return "maru_answers_total{end=\"" + how + "\"}"; }

} // namespace

TEST_CASE("living actors are counted by kind", "[scenario][observer]") {
  asking a;
  a.ask("question");
  a.w.watch(a.w.add_room());
  const auto got = read(a.w);
  for (const auto* one : {"store", "callers", "relay", "directory", "agents", "users", "rooms", "accounts",
                          "sessions", "scheduler", "api", "observer", "supervisor"})
    CHECK(got.value(of("maru_actors", one)) == 1);
  CHECK(got.value(of("maru_actors", "room")) == 2);
  CHECK(got.value(of("maru_actors", "agent")) == 1);
  CHECK(got.value(of("maru_actors", "user")) == 1);
  CHECK(got.value(of("maru_actors", "session")) == 2);
  CHECK(got.value(of("maru_actor_mailbox_wait_seconds", "room")) == 0);
  CHECK(got.value(of("maru_actor_mailbox_messages", "store")) == 0);
}

TEST_CASE("to be looked at keeps no actor from going idle", "[scenario][observer]") {
  asking a;
  a.ask("question");
  a.answer("text");
  a.d->close(close_code::normal);
  for (int i = 0; i < 30; ++i) {
    a.w.advance(10'000);
    read(a.w);
  }
  const auto got = read(a.w);
  CHECK(got.value(of("maru_actors", "agent")) == 0);
  CHECK(got.value(of("maru_actors", "room")) == 0);
  CHECK(got.value(of("maru_actors", "session")) == 0);
}

TEST_CASE("ends of actors are counted by kind and reason", "[scenario][observer]") {
  asking a;
  a.ask("question");
  a.w.crash_at("room.pieces");
  a.say({"text"});
  REQUIRE(a.w.crashes == 1);
  a.w.end_child("relay");
  a.w.advance(30'000);
  const auto got = read(a.w);
  CHECK(got.value(restarts("room", "exception")) == 1);
  CHECK(got.value(restarts("relay", "killed")) == 1);
  CHECK(got.value(restarts("store", "killed")) == 0);
  CHECK(got.value(of("maru_actors", "relay")) == 1);
}

namespace {

// An observer of a tree of actors that promise an answer to each probe and give none.
struct stuck_house {
  explicit stuck_house(std::size_t stuck_actors) {
    for (std::size_t i = 0; i < stuck_actors; ++i)
      stuck.push_back({"directory", w.rig().own(spawn_stuck())});
    auto svc = w.services();
    svc.root = w.rig().own(w.rig().system().spawn(
        [this](actors::tree_actor::pointer self, int) -> actors::tree_actor::behavior_type {
          actors::end_on_exception(self, "tree");
          return {[](actors::tree_atom) { return actors::root_health{}; },
                  [this](actors::children_atom) { return stuck; }};
        },
        0));
    const std::function<std::size_t()> passwords = [] { return std::size_t{7}; };
    observer = w.rig().own(
        w.rig().system().spawn(actors::observer, std::make_shared<const actors::services>(svc), passwords));
  }

  caf::strong_actor_ptr spawn_stuck() {
    const auto body = [this](caf::event_based_actor* self, int) -> caf::behavior {
      const auto kept = std::make_shared<std::vector<caf::response_promise>>();
      return {[this, self, kept](actors::probe_atom) {
                ++probes;
                kept->push_back(self->make_response_promise());
                return kept->back();
              },
              [kept](actors::due_atom) {
                for (auto& p : std::exchange(*kept, {}))
                  p.deliver(actors::probe_answer{});
              }};
    };
    return caf::actor_cast<caf::strong_actor_ptr>(w.rig().system().spawn(body, 0));
  }
  void go_on() {
    for (const auto& one : stuck)
      caf::anon_send(caf::actor_cast<caf::actor>(one.who), actors::due_atom::value);
    w.settle();
  }
  void ask() {
    got.reset();
    actors::observed tell = [this](const std::vector<reading>& all) { got.emplace(w.counts->render(all)); };
    caf::anon_send(observer, std::move(tell));
    w.settle();
  }

  world w;
  std::size_t probes = 0;
  std::vector<actors::named_actor> stuck;
  actors::observer_actor observer;
  std::optional<numbers> got;
};

} // namespace

TEST_CASE("an actor that handles nothing is told as waiting, holds up nobody, and gets one probe",
          "[scenario][observer]") {
  stuck_house h(1);
  const auto wait = of("maru_actor_mailbox_wait_seconds", "directory");
  h.ask();
  CHECK_FALSE(h.got);
  h.w.advance(limits::probe_patience_ms);
  REQUIRE(h.got);
  CHECK(h.got->value(wait) >= 1);
  CHECK(h.got->value(of("maru_actors", "directory")) == 1);
  CHECK(h.got->value("maru_password_jobs_waiting") == 7);
  h.w.advance(10'000);
  h.ask(); // what is known to be stuck is not waited for again
  REQUIRE(h.got);
  CHECK(h.got->value(wait) >= 11);
  CHECK(h.probes == 1);
  h.go_on();
  h.ask();
  CHECK(h.probes == 2);
  h.go_on();
  REQUIRE(h.got);
  CHECK(h.got->value(wait) == 0);
}

TEST_CASE("probes that nobody answers are bounded", "[scenario][observer]") {
  stuck_house h(limits::probes_under_way + 10);
  h.ask();
  h.w.advance(limits::probe_patience_ms);
  h.ask();
  CHECK(h.probes <= limits::probes_under_way);
  CHECK(h.probes > limits::probes_under_way - 10);
}

TEST_CASE("of a nursery with many children some are looked at", "[scenario][observer]") {
  world w;
  for (std::size_t i = 0; i < limits::probed_children + 4; ++i)
    w.watch(w.add_room());
  const auto sample = w.rig().ask_now<actors::nursery_sample>(w.services().rooms, actors::sample_atom::value,
                                                              std::uint64_t{limits::probed_children});
  CHECK(sample.value.value().alive == limits::probed_children + 4);
  CHECK(sample.value.value().some.size() == limits::probed_children);
  CHECK(read(w).value(of("maru_actors", "room")) == limits::probed_children + 4);
}

TEST_CASE("the store is read at most once in some seconds, and not waited for", "[scenario][observer]") {
  asking a;
  CHECK(read(a.w).value(R"(maru_mailbox_entries{mailbox="agent"})") == 0);
  a.ask("question");
  CHECK(read(a.w).value(R"(maru_mailbox_entries{mailbox="agent"})") == 0);
  a.w.advance(limits::observed_store_ms);
  CHECK(read(a.w).value(R"(maru_mailbox_entries{mailbox="agent"})") == 1);
  a.w.advance(limits::observed_store_ms);
  a.w.store().shut_reads();
  const auto held = a.w.store().held_reads();
  const auto late = scrape(a.w);
  CHECK_FALSE(late->has_value());
  a.w.advance(limits::probe_patience_ms);
  REQUIRE(late->has_value());
  CHECK((*late)->value(R"(maru_mailbox_entries{mailbox="agent"})") == 1); // as last seen
  read(a.w);
  CHECK(a.w.store().held_reads() <= held + 2); // one of ours, one of the sweeper's
  a.w.store().open_reads();
}

TEST_CASE("questions that wait are seen, with how long", "[scenario][observer]") {
  asking a;
  for (const auto* text : {"one", "two", "three"})
    a.ask(text);
  a.w.advance(60'000);
  auto got = read(a.w);
  CHECK(got.value(R"(maru_mailbox_entries{mailbox="agent"})") == 3);
  CHECK(got.value("maru_answers_unfinished") == 3);
  CHECK(got.value(R"(maru_mailbox_oldest_due_seconds{mailbox="agent"})") >= 60);
  for (int i = 0; i < 3; ++i)
    a.answer("text");
  a.w.advance(limits::observed_store_ms);
  got = read(a.w);
  CHECK(got.value(R"(maru_mailbox_entries{mailbox="agent"})") == 0);
  CHECK(got.value("maru_answers_unfinished") == 0);
  CHECK(got.value(R"(maru_mailbox_oldest_due_seconds{mailbox="agent"})") == 0);
  CHECK(got.value("maru_store_database_bytes") > 0);
  CHECK(got.value("maru_store_disk_free_bytes") > 0);
}

TEST_CASE("answers are counted by how they end, with their times, pieces and tokens",
          "[scenario][observer]") {
  asking a;
  a.ask("one");
  a.w.advance(3'000);
  a.say({"some ", "text"});
  a.w.advance(4'000);
  a.finish();
  a.ask("two");
  a.fail(llm::fault::timed_out, true);
  a.w.advance(30'000);
  a.fail(llm::fault::status, false);
  const auto stopped = a.ask("three");
  a.d->stop(a.room, stopped);
  a.w.settle();
  const auto got = read(a.w);
  CHECK(got.value(ends("answered")) == 1);
  CHECK(got.value(ends("status")) == 1);
  CHECK(got.value(ends("stopped")) == 1);
  CHECK(got.value(ends("timed_out")) == 0);
  CHECK(got.value("maru_answer_retries_total") == 1);
  CHECK(got.value("maru_answer_pieces_total") == 2);
  CHECK(got.value(R"(maru_answer_tokens_total{kind="prompt"})") == 3);
  CHECK(got.value(R"(maru_answer_tokens_total{kind="completion"})") == 4);
  CHECK(got.value("maru_answer_first_piece_seconds_count") == 1);
  CHECK(got.value("maru_answer_first_piece_seconds_sum") >= 3);
  CHECK(got.value("maru_answer_seconds_count") == 3);
  CHECK(got.value(R"(maru_answer_seconds_bucket{le="5"})") == 1); // the stopped one
}

TEST_CASE("deaths over a question are counted, and the dead letter at the end", "[scenario][observer]") {
  asking a;
  const auto answer = a.ask("question");
  a.w.crash_always("agent.pieces");
  for (int i = 0; i < 40 && a.end(answer).is_null(); ++i) {
    if (a.model.open_calls() > 0) a.say({"text"});
    a.w.advance(30'000);
  }
  REQUIRE_FALSE(a.end(answer).is_null());
  a.w.mend();
  const auto got = read(a.w);
  CHECK(got.value("maru_mailbox_failures_total") == limits::poison_failures);
  CHECK(got.value(R"(maru_mailbox_buried_total{mailbox="agent",reason="poison"})") == 1);
  CHECK(got.value(R"(maru_mailbox_dead_letters{reason="poison"})") == 1);
  CHECK(got.value(ends("poison")) == 1);
  CHECK(got.value(restarts("agent", "exception")) == limits::poison_failures);
}

TEST_CASE("a question that was lost with its process is counted as lost", "[scenario][observer]") {
  asking a;
  a.ask("question");
  a.w.restart();
  a.come_back();
  a.w.advance(3'000);
  a.answer("text");
  const auto got = read(a.w);
  CHECK(got.value("maru_mailbox_losses_total") == 1);
  CHECK(got.value("maru_mailbox_failures_total") == 0);
  CHECK(got.value(ends("answered")) == 1);
}
