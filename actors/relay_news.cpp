// What the lists of people are told of rooms that are not open, and what rooms are told of who has read.

#include <unordered_set>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/relay.hpp"
#include "config/limits.hpp"

namespace maru::actors {

void relay_state::join(socket_joined& what) {
  if (!owner_of.emplace(what.socket->id(), socket_owner{what.user, what.lists}).second) return;
  if (what.lists) people[what.user].push_back(std::move(what.socket));
}

void relay_state::part(std::uint64_t socket) {
  const auto owner = owner_of.extract(socket);
  if (owner.empty() || !owner.mapped().lists) return;
  const auto here = people.find(owner.mapped().person);
  std::erase_if(here->second, [&](const connection_ptr& c) { return c->id() == socket; });
  if (here->second.empty()) people.erase(here);
}

// Whether the person has lists here beside which the room is not open.
bool relay_state::has_others(const watched_room& room, const uuid& person) const {
  const auto here = people.find(person);
  if (here == people.end()) return false;
  const auto watching = room.watching.find(person);
  return watching == room.watching.end() || here->second.size() > watching->second;
}

bool relay_state::somebody_waits(const room_news& what) const {
  static const watched_room nobody;
  const auto room = rooms.find(what.row.id);
  const auto& watched = room == rooms.end() ? nobody : room->second;
  return std::any_of(what.readers.begin(), what.readers.end(),
                     [&](const auto& reader) { return has_others(watched, reader.account); });
}

void relay_state::note_event(const event_fact& fact, room_news& what) {
  if (!news.contains(what.row.id) && !somebody_waits(what)) return;
  what.last = fact;
  event_data::shorten(what.last.data);
  note(std::move(what), true);
}

// The newest state wins. `whole`: all members are in it; otherwise those it names are added.
void relay_state::note(room_news what, bool whole) {
  svc->reach("relay.news");
  if (!whole && !news.contains(what.row.id) && !somebody_waits(what)) return;
  const auto [it, fresh] = news.try_emplace(what.row.id);
  auto& kept = it->second;
  if (!fresh && !whole) {
    for (const auto& reader : kept.readers)
      actors::note_read(what.readers, reader);
    if (what.row.head < kept.row.head) {
      what.row = std::move(kept.row);
      what.last = std::move(kept.last);
    }
  }
  kept = std::move(what);
  if (!std::exchange(news_soon, true)) wake_in(limits::news_ms, relay_wake::news);
}

void relay_state::wake_in(std::uint32_t ms, relay_wake why) {
  self->delayed_send(self, std::chrono::milliseconds(ms), relay_tick{why});
}

void relay_state::tick(relay_wake why) {
  if (why == relay_wake::news)
    tell_news();
  else
    report_reads();
}

void relay_state::tell_news() {
  if (due.empty())
    for (auto& [room, what] : std::exchange(news, {}))
      due.push_back(std::move(what));
  for (std::size_t i = 0; i < limits::news_rooms_in_a_row && !due.empty(); ++i) {
    tell(due.front());
    due.pop_front();
  }
  if (!due.empty()) return self->send(self, relay_tick{relay_wake::news});
  news_soon = !news.empty();
  if (news_soon) wake_in(limits::news_ms, relay_wake::news);
}

// One frame for all who have read as far.
void relay_state::tell(const room_news& what) {
  roster seen;
  std::unordered_set<std::uint64_t> watching;
  if (const auto room = rooms.find(what.row.id); room != rooms.end())
    for (const auto& w : room->second.watches) {
      watching.insert(w.socket->id());
      actors::note_read(seen, {w.whose.person, w.seq});
    }
  api::room_view view{what.row, {}, 0, what.members, 0};
  if (what.last.seq > 0) view.last = what.last;
  std::unordered_map<std::uint64_t, frame_ptr> frames;
  for (const auto& reader : what.readers) {
    const auto here = people.find(reader.account);
    if (here == people.end()) continue;
    const auto* live = find(seen, reader.account);
    view.read = std::min(live == nullptr ? reader.seq : std::max(reader.seq, live->seq), what.row.head);
    view.unread = what.row.head - view.read;
    for (const auto& socket : here->second) {
      if (watching.contains(socket->id())) continue;
      auto& out = frames[view.read];
      if (!out) out = svc->codec->room(view);
      socket->push(out);
    }
  }
}

// --- what was read -----------------------------------------------------------------------------------------

void relay_state::note_read(const uuid& id, watched_room& room) {
  if (std::exchange(room.reads_wait, true)) return;
  newly_read.push_back(id);
  if (!std::exchange(reads_soon, true)) wake_in(limits::reads_told_ms, relay_wake::reads);
}

void relay_state::report_reads() {
  reads_soon = false;
  for (const auto& id : std::exchange(newly_read, {})) {
    const auto room = rooms.find(id);
    if (room == rooms.end()) continue;
    room->second.reads_wait = false;
    members_read out{id, {}, false, false};
    for (auto& w : room->second.watches) {
      if (w.whose.person.nil() || w.seq <= w.told) continue;
      w.told = w.seq;
      actors::note_read(out.marks, {w.whose.person, w.seq});
    }
    if (!out.marks.empty() && room->second.owner)
      self->send(caf::actor_cast<room_actor>(room->second.owner), std::move(out),
                 caf::actor_cast<relay_actor>(caf::actor_cast<relay_self>(self)));
  }
}

// At once: a watch begins to be live, or has ended. One that ended before it was live has heard nothing of
// what came meanwhile.
void relay_state::report(const uuid& id, const watched_room& room, watch& from, bool ended) {
  if (from.whose.person.nil() || !room.owner) return;
  const bool more = from.seq > from.told;
  if (!more && !ended) return;
  const bool tell = (more || !from.live) && has_others(room, from.whose.person);
  from.told = from.seq;
  self->send(caf::actor_cast<room_actor>(room.owner),
             members_read{id, {{from.whose.person, from.seq}}, ended, tell},
             caf::actor_cast<relay_actor>(caf::actor_cast<relay_self>(self)));
}

} // namespace maru::actors
