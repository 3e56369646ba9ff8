#include "actors/room.hpp"

#include <caf/actor_ostream.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/room_tell.hpp"
#include "config/limits.hpp"

namespace maru::actors {

void room_state::start() {
  life = static_cast<std::uint64_t>(svc->random() * static_cast<double>(1ULL << 53));
  began_at = svc->time->unix_ms();
  load();
}

void room_state::load() {
  loaded = false;
  const auto number = ++loads;
  // A refused commit is often the first of many resends: then more of what was taken is worth knowing.
  const auto commands = number == 1 ? limits::room_commands_at_start : limits::room_recent_commands;
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [room = id, number, commands](storage::reader& from) {
        return room_read{number, "", from.image(room, commands), from.entry_heads(mailbox_of(room))};
      },
      [number](std::string why) { return room_read{number, std::move(why), {}, {}}; }, svc->under(id));
}

void room_state::take_image(room_read& read) {
  svc->reach("room.load");
  if (read.number != loads) return;
  if (!read.failed.empty()) {
    spdlog::warn("room {} cannot be read: {}", id.str(), read.failed);
    auto waiting = std::move(held);
    held.clear();
    for (auto& r : waiting)
      refuse_all(r, refusal_of(storage::failure::unavailable));
    return wake_in(limits::commit_again_ms, room_wake::load);
  }
  loaded = true;
  missing = !read.image;
  if (!std::exchange(watched, true))
    wake_in(missing ? limits::room_missing_ms : limits::room_idle_ms, room_wake::idle);
  if (read.image) take_row(*read.image);
  take_entries(read.entries);
  let_in();
}

void room_state::take_row(storage::room_image& image) {
  row = std::move(image.room);
  next_seq = row.head + 1;
  take_members(image.members);
  last = image.last ? fact_of(*image.last) : event_fact{};
  recent.clear();
  recent_order.clear();
  for (auto& c : image.recent)
    remember({c.author, c.id}, {c.mark, c.seq, c.event, event_data::parse_asked(c.answers)});
  tail.reset();
  if (image.tail) {
    tail = image.tail->id;
    know(*tail);
  }
  take_unfinished(image);
}

// What came while it was read, and what has to be ordered anew before that.
void room_state::let_in() {
  for (auto& s : std::exchange(held_subscribers, {}))
    s.subscribe();
  for (const auto& [answer, agent] : std::exchange(held_agents, {}))
    if (!answers.contains(answer)) self->send(agent, answer_closed{answer});
  for (auto& r : std::exchange(redo, {}))
    request(std::move(r));
  for (auto& r : std::exchange(held, {}))
    request(std::move(r));
  if (std::exchange(due_waits, false)) due();
}

// What this life knows of running answers is newer than what the store has.
void room_state::take_unfinished(const storage::room_image& image) {
  std::map<uuid, live_answer> now;
  unfinished.clear();
  for (const auto& a : image.unfinished) {
    ++unfinished[a.agent];
    if (const auto it = answers.find(a.id); it != answers.end()) {
      // What its agent told after an end was ordered that then was refused, it tells again.
      if (std::exchange(it->second.ending, false) || it->second.fact.attempt < a.attempt)
        wake(a.agent, {a.id, a.question, a.attempt, false, 0, a.asker});
      now.emplace(a.id, std::move(it->second));
      continue;
    }
    live_answer& live = now[a.id];
    live.asker = a.asker;
    live.fact = {a.id,
                 a.question,
                 a.agent,
                 std::max(1U, a.attempt),
                 a.attempt == 0 ? answer_state::queued : answer_state::recovering,
                 0,
                 ""};
    for (const auto& c : image.checkpoints)
      if (c.answer == a.id) {
        live.fact.n = c.n;
        live.fact.text = c.text;
      }
    live.unheard = a.attempt > 0;
    live.place = next_place++;
    wake(a.agent, {a.id, a.question, a.attempt, false, 0, a.asker});
  }
  answers = std::move(now);
  for (const auto& [agent, count] : std::map(unfinished))
    tell_line(agent);
  if (std::any_of(answers.begin(), answers.end(), [](const auto& a) { return a.second.unheard; }))
    wake_in(limits::stop_patience_ms, room_wake::hear);
}

void room_state::subscribe(std::uint64_t ticket, const room_subscriber& from, const person& by,
                           const relay_actor& relay) {
  svc->reach("room.subscribe");
  if (!loaded) {
    if (held_subscribers.size() >= limits::room_commits_under_way)
      return self->send(from,
                        room_snapshot{ticket, refusal_of(storage::failure::overloaded), id, 0, 1, 0, 0, {}});
    held_subscribers.push_back(
        {relay, [this, ticket, from, by, relay] { subscribe(ticket, from, by, relay); }});
    return;
  }
  room_snapshot snapshot{ticket, {}, id, row.head, row.floor, life, frame, {}};
  if (missing || !is_member(by.id)) {
    snapshot = {ticket, {code::not_found, "there is no such room for you"}, id, 0, 1, 0, 0, {}};
  } else {
    if (relays.insert(relay).second) self->monitor(relay);
    for (const auto& [answer, live] : answers)
      snapshot.answers.push_back(live.fact);
  }
  self->send(from, std::move(snapshot));
}

// Nobody behind this relay watches, nor has anybody who came before this.
void room_state::unsubscribe(const relay_actor& relay) {
  std::erase_if(held_subscribers, [&](const held_subscriber& h) { return h.relay == relay; });
  if (relays.erase(relay) > 0) self->demonitor(relay.address());
}

void room_state::wake_in(std::uint32_t ms, room_wake why) {
  self->delayed_send(self, std::chrono::milliseconds(ms), room_tick{why});
}

void room_state::tick(room_wake why) {
  switch (why) {
  case room_wake::load:
    if (!loaded) load();
    break;
  case room_wake::redo: {
    auto again = std::move(later);
    later.clear();
    for (auto& f : again)
      request(std::move(f));
    break;
  }
  case room_wake::reads:
    saves_soon = false;
    save_reads();
    break;
  case room_wake::hear:
    for (auto& [answer, live] : answers)
      heard(answer, live);
    break;
  case room_wake::idle:
    if ((missing || busy == busy_seen) && relays.empty() && answers.empty() && under_way.empty() &&
        held.empty() && aside.empty() && being_saved.empty())
      return self->quit();
    busy_seen = busy;
    wake_in(limits::room_idle_ms, room_wake::idle);
  }
}

void room_state::went_down(const caf::down_msg& down) {
  std::erase_if(relays, [&](const relay_actor& r) { return r == down.source; });
  for (auto& [name, link] : agents) {
    if (!(link.handle == down.source)) continue;
    link.handle = nullptr;
    for (const auto& [answer, live] : answers)
      if (live.fact.agent == name)
        wake(name, {answer, live.fact.question, live.fact.attempt, false, 0, live.asker});
    return;
  }
}

// An end that the disk refuses waits for the disk, and that may take its time.
work_wait room_state::waits_for() const {
  if (!loaded) return {"its row to be read", loads};
  if (!under_way.empty()) return {"a step to be stored", under_way.front().ticket};
  if (!aside.empty()) return {"a read", aside.begin()->first};
  if (!being_saved.empty()) return {"what was read to be stored", being_saved.begin()->first};
  return {};
}

room_self::behavior_type room(room_self::stateful_pointer<room_state> self, shared_services svc, uuid id,
                              bool after_crash) {
  end_on_exception(self, "room " + id.str());
  auto& s = self->state;
  s.svc = std::move(svc);
  s.id = id;
  tells_of_work(self, [&s] { return s.waits_for(); });
  s.after_crash = after_crash;
  self->set_down_handler([&s](const caf::down_msg& down) { s.went_down(down); });
  s.start();
  return {
      [&s](std::uint64_t ticket, const room_client& from, person& by, post_message& what) {
        s.request(post_request{std::move(by), std::move(what), {{ticket, from}}, false, {}, 0, {}});
      },
      [&s](std::uint64_t ticket, const room_client& from, person& by, stop_answer& what) {
        s.request(stop_request{std::move(by), std::move(what), {{ticket, from}}});
      },
      [&s](std::uint64_t ticket, const room_client& from, person& by, retry_answer& what) {
        s.request(retry_request{std::move(by), std::move(what), {{ticket, from}}});
      },
      [&s](std::uint64_t ticket, const room_client& from, const requeue_answer& what) {
        s.request(retry_request{{}, {{}, {}, what.answer, {}, {}}, {{ticket, from}}, true});
      },
      [&s](std::uint64_t ticket, const room_client& from, person& by, schedule_message& what) {
        s.request(schedule_request{std::move(by), std::move(what), {{ticket, from}}});
      },
      [&s](std::uint64_t ticket, const room_client& from, person& by, const cancel_scheduled& what) {
        s.request(cancel_request{std::move(by), what.schedule, {{ticket, from}}});
      },
      [&s](std::uint64_t ticket, const room_client& from, const cancel_scheduled& what) {
        s.request(cancel_request{{}, what.schedule, {{ticket, from}}, true});
      },
      [&s](std::uint64_t ticket, const room_client& from, const requeue_scheduled& what) {
        s.request(revive_request{what.schedule, {{ticket, from}}});
      },
      [&s](due_atom) { s.due(); },
      [&s](std::uint64_t ticket, const room_subscriber& from, const person& by, const relay_actor& relay) {
        ++s.busy;
        s.subscribe(ticket, from, by, relay);
      },
      [&s](const relay_actor& relay) { s.unsubscribe(relay); },
      [&s](const members_read& what, const relay_actor& from) { s.take_reads(what, from); },
      [&s](answer_resumed& what, const agent_actor& from) { s.resumed(what, from); },
      [&s](answer_begun& what) { s.begun(what); },
      [&s](const call_told& what) { s.told(what); },
      [&s](pieces_made& what) { s.pieces(what); },
      [&s](finish_answer& what, const agent_actor& from) {
        const auto it = s.answers.find(what.answer);
        // Not read yet: once it is, the agent is woken and tells all of it again, or is told of the end.
        if (it == s.answers.end() && !s.loaded) {
          s.held_agents[what.answer] = from;
          return;
        }
        if (it == s.answers.end()) return s.self->send(from, answer_closed{what.answer});
        s.linked(it->second.fact.agent, from);
        s.request(finish_request{std::move(what)});
      },
      [&s](commit_done& done) { s.committed(done); },
      [&s](room_read& read) { s.take_image(read); },
      [&s](references_read& read) { s.take_references(read); },
      [&s](const taken_read& read) { s.take_taken(read); },
      [&s](ended_read& read) { s.take_end(read); },
      [&s](retried_read& read) { s.take_retried(read); },
      [&s](schedule_read& read) { s.take_schedule(read); },
      [&s](due_read& read) { s.take_due(read); },
      [&s](const room_tick& tick) { s.tick(tick.why); },
  };
}

} // namespace maru::actors
