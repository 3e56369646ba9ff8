// What may happen to a run, and how often.

#include <algorithm>

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include "config/limits.hpp"
#include "tests/simulator/run.hpp"

namespace maru::test {

namespace {

const std::vector<std::string> places{
    "agent.begin",    "agent.call",     "agent.committed", "agent.context", "agent.ended",
    "agent.enqueued", "agent.mailbox",  "agent.ordered",   "agent.pieces",  "caller.start",
    "relay.watch",    "room.begun",     "room.committed",  "room.finish",   "room.load",
    "room.pieces",    "room.post",      "room.reads",      "room.retried",  "room.retry",
    "room.stop",      "room.subscribe", "session.attach",  "session.frame", "session.snapshot",
    "user.command",   "room.cancel",    "room.deliver",    "room.due",      "room.schedule",
    "room.scheduled"};

const std::vector<std::string> root_children{"store",    "callers",   "relay", "directory",
                                             "agents",   "users",     "rooms", "accounts",
                                             "sessions", "scheduler", "api",   "observer"};

constexpr std::size_t root_ends_most = 3; // of one run: beyond 5 in 10 s the root gives up
constexpr std::size_t process_ends_most = 4;
constexpr std::size_t big_text_bytes = 250'000;
constexpr std::size_t flood = 40; // such messages are more than an outbox holds
constexpr std::size_t pieces_of_a_checkpoint = 70;

} // namespace

void simulation::act() {
  struct choice {
    std::size_t weight; // of 1000
    void (simulation::*what)();
  };
  static constexpr std::array<choice, 15> choices{{{230, &simulation::post},
                                                   {80, &simulation::stop},
                                                   {40, &simulation::resend},
                                                   {30, &simulation::retry},
                                                   {10, &simulation::schedule},
                                                   {60, &simulation::come_and_go},
                                                   {220, &simulation::speak},
                                                   {110, &simulation::pass_time},
                                                   {70, &simulation::hold},
                                                   {40, &simulation::crash},
                                                   {30, &simulation::kill_actor},
                                                   {20, &simulation::fail_store},
                                                   {19, &simulation::fail_disk},
                                                   {40, &simulation::end_process},
                                                   {1, &simulation::post_much}}};
  auto at = below(1000);
  for (const auto& c : choices) {
    if (at < c.weight) return (this->*c.what)();
    at -= c.weight;
  }
}

// --- people ------------------------------------------------------------------------------------------------

void simulation::post() {
  auto& c = any(clients_);
  std::optional<std::vector<std::string>> agents;
  if (chance(25)) agents.emplace();
  if (chance(20)) agents = std::vector<std::string>{"maru", "keeper"};
  std::vector<uuid> rooms;
  for (const auto& [room, seen] : c->seen)
    rooms.push_back(room);
  const auto text = "message " + std::to_string(++messages_);
  const auto& room = any(rooms);
  note("post '" + text + "' in " + told_.name_of(room.str()));
  c->send(room, text, agents);
}

// More than a connection that is not read can hold.
void simulation::post_much() {
  met("flood");
  note("posts more than an outbox holds");
  for (const auto& d : w_.devices)
    if (!d->closed && chance(50)) stalled_.insert(d.get());
  for (std::size_t i = 0; i < flood; ++i)
    any(clients_)->send(rooms_[1], std::to_string(++messages_) + std::string(big_text_bytes, '.'),
                        std::vector<std::string>{});
}

// With its room; no matter whether it runs.
std::optional<std::pair<uuid, uuid>> simulation::any_answer(const faithful_client& of) {
  std::vector<std::pair<uuid, uuid>> all;
  for (const auto& [id, command] : of.commands)
    if (command.ack && !command.is_stop)
      for (const auto& answer : answers_of(*command.ack))
        all.emplace_back(command.room, answer);
  if (all.empty()) return std::nullopt;
  return any(all);
}

void simulation::stop() {
  auto& c = any(clients_);
  const auto what = any_answer(*c);
  if (!what) return;
  note("stop " + told_.name_of(what->second.str()));
  c->stop(what->first, what->second);
}

void simulation::retry() {
  auto& c = any(clients_);
  const auto what = any_answer(*c);
  if (!what) return;
  note("retry " + told_.name_of(what->second.str()));
  c->retry(what->first, what->second);
  if (chance(40)) c->retry(what->first, what->second);
}

// For soon; some are dropped again.
void simulation::schedule() {
  auto kept = std::make_shared<scheduled_wish>();
  kept->room = any(rooms_);
  actors::api::schedule_message what;
  what.key = uuid::v7(0);
  what.id = what.key.str();
  what.room = kept->room;
  what.text = "scheduled " + std::to_string(++messages_);
  what.at = w_.rig().time().unix_ms() + static_cast<std::int64_t>(below(3'000));
  note("'" + what.text + "' is to be sent in " + told_.name_of(kept->room.str()));
  const auto ask = [this](actors::api::request call, std::function<void(const actors::api::reply&)> told) {
    caf::anon_send(w_.api(), w_.ana.str(), std::move(call), actors::api::replied{std::move(told)});
  };
  const auto drop = [kept](const actors::api::reply& how) {
    if (std::holds_alternative<actors::api::posted>(how)) kept->dropped = true;
  };
  ask(what, [kept, ask, drop, drops = chance(30)](const actors::api::reply& how) {
    const auto* made = std::get_if<actors::api::posted>(&how);
    if (made == nullptr) return;
    kept->made = made->event;
    kept->drop_asked = drops;
    if (drops) ask(actors::api::cancel_scheduled{kept->room, made->event}, drop);
  });
  scheduled_.push_back(std::move(kept));
}

void simulation::resend() {
  auto& c = any(clients_);
  if (c->sent.empty()) return;
  const auto& command = any(c->sent);
  note("send again " + told_.name_of(command.str()));
  c->send_again(command);
}

void simulation::come_and_go() {
  auto& c = any(clients_);
  if (chance(20)) {
    if (!stalled_.empty()) return stalled_.clear();
    note("connections are not read");
    for (const auto& d : w_.devices)
      if (!d->closed && chance(40)) stalled_.insert(d.get());
    return;
  }
  if (chance(30)) {
    const auto& room = c->seen.begin()->first;
    note("open again");
    return c->open_again(room);
  }
  note("a connection is lost");
  if (chance(50)) c->forget_session();
  c->lose();
}

// --- models ------------------------------------------------------------------------------------------------

void simulation::speak() {
  std::vector<std::shared_ptr<model_stream>> open;
  for (const auto* name : {"restart", "continue"})
    for (const auto& c : w_.model(name).calls)
      if (c->open) open.push_back(c);
  if (open.empty()) return post();
  auto& c = *any(open);
  if (chance(12)) return fail(c);
  const auto number = number_of_.try_emplace(&c, number_of_.size() + 1).first->second;
  const auto question = c.what.turns.empty() ? "" : c.what.turns.back().text;
  std::vector<std::string> pieces;
  for (auto left = chance(10) ? pieces_of_a_checkpoint : below(4) + 1; left > 0; --left) {
    const auto word = std::to_string(++pieces_).append("p");
    told_.said(word, number, question);
    pieces.push_back(word + " ");
  }
  note("call " + std::to_string(number) + " says " + std::to_string(pieces.size()) + " pieces");
  c.say(std::move(pieces));
  if (chance(40)) {
    note("and ends");
    c.finish();
  }
}

void simulation::fail(model_stream& call) {
  using llm::fault;
  constexpr int too_many = 429, broken = 503, wrong = 400;
  note("a call fails");
  switch (below(7)) {
  case 0:
    return call.fail(fault::timed_out, true);
  case 1:
    return call.fail(fault::status, true, too_many, std::chrono::seconds{below(30) + 1});
  case 2:
    return call.fail(fault::status, true, broken);
  case 3:
    return call.fail(fault::status, false, wrong);
  case 4:
    return call.fail(fault::in_stream, true);
  case 5:
    return call.fail(fault::unreachable, true);
  default:
    return call.fail(fault::cut, true);
  }
}

// --- time and the machine ----------------------------------------------------------------------------------

void simulation::pass_time() {
  static constexpr std::array<std::int64_t, 8> times{1, 10, 50, 100, 150, 250, 1'000, 5'000};
  const auto ms = chance(2) ? 2LL * limits::room_idle_ms + 1 : times[below(times.size())];
  note(std::to_string(ms) + " ms pass");
  w_.advance(ms);
}

// The disk takes its time, and readers are several.
void simulation::hold() {
  auto& store = w_.store();
  switch (below(6)) {
  case 0:
    note("writes wait");
    return store.shut();
  case 1:
    return store.let(below(3) + 1);
  case 2:
    return store.open();
  case 3:
    note("reads wait");
    return store.shut_reads();
  case 4:
    if (store.held_reads() > 0) store.let_read(below(store.held_reads()));
    return;
  default:
    return store.open_reads();
  }
}

void simulation::fail_store() {
  const auto kind = chance(50) ? storage::failure::unavailable : storage::failure::full;
  note("the store fails: " + std::string{storage::word(kind)});
  w_.store_fault = [kind, left = below(3) + 1](std::string_view operation) mutable {
    if (left == 0 || (kind == storage::failure::full && operation == "read")) return storage::failure::none;
    --left;
    return kind;
  };
}

void simulation::fail_disk() {
  switch (below(3)) {
  case 0:
    note("the disk is full");
    met("disk full");
    return disk_.fail(disk_fault::no_room, below(10), below(20) + 1);
  case 1:
    note("a write fails");
    met("write fails");
    return disk_.fail(disk_fault::write_fails, below(10), 1);
  default:
    note("a sync fails");
    met("sync fails");
    return disk_.fail(disk_fault::sync_fails, below(4), 1);
  }
}

void simulation::crash() {
  const auto& place = any(places);
  note("crash at " + place);
  w_.crash_at(place, below(3) + 1);
}

void simulation::kill_actor() {
  if (chance(20)) return end_root_child();
  std::vector<caf::strong_actor_ptr> alive;
  for (const auto& who : w_.started)
    if (auto actor = caf::actor_cast<caf::strong_actor_ptr>(who)) alive.push_back(std::move(actor));
  if (alive.empty()) return;
  note("an actor is killed");
  met("actor killed");
  caf::anon_send_exit(any(alive), caf::exit_reason::kill);
}

void simulation::end_root_child() {
  if (++root_ends_ > root_ends_most) return;
  const auto& name = any(root_children);
  note("ends: " + name);
  met("child of the root killed");
  w_.end_child(name);
}

void simulation::end_process() {
  if (++ends_ > process_ends_most) return;
  if (chance(50)) {
    note("the process will end within a write");
    return disk_.die_after(below(40) + 1);
  }
  if (chance(70)) return begin_anew(any_ending());
  note("an orderly end");
  met("orderly end");
  w_.mend();
  w_.store_fault = nullptr;
  w_.store().open();
  w_.store().open_reads();
  w_.stop_in_order();
  begin_anew(ending::in_order);
}

} // namespace maru::test
