// A session's subscriptions: watch, snapshot, replay, live.

#include <algorithm>
#include <utility>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/session.hpp"
#include "config/limits.hpp"

namespace maru::actors {

subscription* session_state::find(std::uint64_t number) {
  for (auto& [room, sub] : open_rooms)
    if (sub.number == number) return &sub;
  return nullptr;
}

void session_state::open(const open_in& what, std::size_t bytes) {
  if (open_rooms.size() >= limits::session_rooms_open && !open_rooms.contains(what.room))
    return refuse("", {code::overloaded, "too many rooms are open here; close one first"}, bytes);
  auto& sub = open_rooms[what.room];
  // A second open starts over; the first may not have been answered yet.
  if (sub.owes) socket->answer(nullptr, sub.credit);
  sub.room = what.room;
  sub.credit = bytes;
  sub.owes = true;
  sub.next = 0;
  reopen(sub, what.after, 0);
}

void session_state::reopen(subscription& sub, std::optional<std::uint64_t> after, std::uint32_t in_ms) {
  sub.number = next_number++;
  sub.asked = true;
  sub.after = after;
  if (in_ms > 0)
    self->delayed_send(self, std::chrono::milliseconds(in_ms), session_tick{session_wake::open, sub.number});
  else
    find_room(sub);
}

void session_state::find_room(subscription& sub) {
  const auto number = sub.number;
  const auto watch = [this, number] {
    auto* s = find(number);
    if (s == nullptr || !socket) return;
    self->send(
        svc->relay,
        watch_room{s->room, number, socket, caf::actor_cast<caf::strong_actor_ptr>(s->owner), s->next > 0},
        caf::actor_cast<relay_client>(caf::actor_cast<session_self>(self)));
  };
  if (sub.owner) return watch();
  self->request(svc->directory, caf::infinite, room_atom::value, sub.room)
      .then(
          [this, number, watch](room_actor& owner) {
            auto* s = find(number);
            if (s == nullptr) return;
            s->owner = std::move(owner);
            self->monitor(s->owner);
            watch();
          },
          [this, number](const caf::error&) {
            if (auto* s = find(number)) reopen(*s, s->after, limits::resend_after_ms);
          });
}

// The relay holds live frames back from here on, so nothing falls between snapshot and replay.
void session_state::start_watch(const watching& what) {
  auto* sub = find(what.subscription);
  if (sub == nullptr || !sub->owner) return;
  // After a fallen room the relay knows how far the live frames came.
  if (sub->next > 0) sub->after = std::max(what.seq, sub->next - 1);
  self->send(sub->owner, sub->number, caf::actor_cast<room_subscriber>(caf::actor_cast<session_self>(self)),
             by(), svc->relay);
}

void session_state::start_replay(room_snapshot& what) {
  svc->reach("session.snapshot");
  auto* sub = find(what.ticket);
  if (sub == nullptr || !socket) return;
  if (what.why) {
    const auto room = sub->room;
    const auto bytes = sub->credit;
    const bool owes = std::exchange(sub->owes, false);
    close(room);
    // An `open` has no id of its own: the refusal names the room.
    auto why = what.why;
    why.detail = "room " + room.str() + ": " + why.detail;
    if (owes)
      refuse("", why, bytes);
    else
      socket->push(svc->codec->error("", why));
    return;
  }
  sub->asked = false;
  sub->snapshot = std::move(what);
  const auto& snap = sub->snapshot;
  const auto last_few = snap.head > limits::open_default_events ? snap.head - limits::open_default_events : 0;
  const auto after = std::min(sub->after.value_or(last_few), snap.head);
  sub->next = std::max(after + 1, snap.floor);
  const auto opened = svc->codec->opened({sub->room, snap.head, sub->next, snap.floor, snap.answers});
  if (sub->owes)
    socket->answer(opened, sub->credit);
  else
    socket->push(opened);
  sub->owes = false;
  sub->snapshot.answers.clear();
  if (sub->next > snap.head) return finish_replay(*sub);
  to_replay.push_back(sub->number);
  read_page();
}

// One page at a time, of whatever room, and only when the socket has little left to write.
void session_state::read_page() {
  if (!socket || page_under_way || page_drains) return;
  subscription* next = nullptr;
  while (next == nullptr && !to_replay.empty()) {
    next = find(to_replay.front());
    to_replay.pop_front();
  }
  if (next == nullptr) return;
  page_under_way = true;
  ++pages;
  const auto& sub = *next;
  read_into(
      self, svc->store, caf::actor_cast<session_self>(self),
      [number = sub.number, room = sub.room, after = sub.next - 1](storage::reader& from) {
        return replay_read{number, false,
                           from.events_after(room, after, limits::replay_page, limits::replay_page_bytes)};
      },
      [number = sub.number](const std::string&) { return replay_read{number, true, {}}; });
}

void session_state::replay(const replay_read& what) {
  page_under_way = false;
  auto* sub = find(what.subscription);
  if (sub == nullptr || !socket) return read_page();
  if (what.failed || what.events.empty()) {
    reopen(*sub, sub->next - 1, limits::commit_again_ms);
    return read_page();
  }
  for (const auto& e : what.events) {
    if (e.seq > sub->snapshot.head) break;
    socket->push(svc->codec->event(sub->room, fact_of(e)));
    sub->next = e.seq + 1;
  }
  if (sub->next > sub->snapshot.head)
    finish_replay(*sub);
  else
    to_replay.push_back(sub->number);
  page_drains = true;
  socket->tell_when_drained();
}

void session_state::finish_replay(subscription& sub) {
  self->send(svc->relay, go_live{sub.room, sub.number, socket->id(), sub.snapshot.life, sub.snapshot.frame,
                                 sub.snapshot.head});
}

void session_state::drained(std::uint64_t connection) {
  if (!socket || socket->id() != connection) return;
  page_drains = false;
  read_page();
}

void session_state::close(const uuid& room) {
  const auto it = open_rooms.find(room);
  if (it == open_rooms.end()) return;
  if (it->second.owes) socket->answer(nullptr, it->second.credit);
  if (it->second.owner) self->demonitor(it->second.owner.address());
  open_rooms.erase(it);
  self->send(svc->relay, unwatch_room{room, socket->id()});
}

} // namespace maru::actors
