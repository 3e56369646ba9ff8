#include "actors/relay.hpp"

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

void relay_state::begin(watch_room& what, const relay_client& from) {
  svc->reach("relay.watch");
  auto& room = rooms[what.room];
  room.owner = std::move(what.owner);
  const auto socket = what.socket->id();
  auto it = std::find_if(room.watches.begin(), room.watches.end(),
                         [&](const watch& w) { return w.socket->id() == socket; });
  if (it == room.watches.end()) {
    by_socket[socket].push_back(what.room);
    it = room.watches.insert(room.watches.end(), watch{});
    if (const auto owner = owner_of.find(socket); owner != owner_of.end()) it->whose = owner->second;
    if (it->whose.lists) ++room.watching[it->whose.person];
  }
  const auto seq = what.again ? it->seq : 0;
  const auto whose = it->whose;
  *it = watch{};
  it->whose = whose;
  it->subscription = what.subscription;
  it->socket = std::move(what.socket);
  it->client = from;
  it->seq = seq;
  self->send(from, watching{what.subscription, seq});
}

void relay_state::go(const go_live& what) {
  const auto room = rooms.find(what.room);
  if (room == rooms.end()) return;
  for (auto& w : room->second.watches) {
    if (w.socket->id() != what.connection || w.subscription != what.subscription) continue;
    if (w.broken) return break_off(w);
    w.live = true;
    w.life = what.life;
    w.frame = what.frame;
    auto held = std::move(w.held);
    w.held.clear();
    w.held_bytes = 0;
    // What the room said of it until the snapshot, the session has replayed.
    w.seq = std::max(w.seq, what.head);
    for (const auto& h : held)
      pass(w, h);
    report(what.room, room->second, w, false);
    return;
  }
}

void relay_state::leave(const uuid& room, std::uint64_t socket) {
  const auto it = rooms.find(room);
  if (it == rooms.end()) return;
  auto& watches = it->second.watches;
  const auto w =
      std::find_if(watches.begin(), watches.end(), [&](const watch& w) { return w.socket->id() == socket; });
  if (w == watches.end()) return;
  auto left = std::move(*w);
  watches.erase(w);
  auto& watching = it->second.watching;
  if (left.whose.lists && --watching[left.whose.person] == 0) watching.erase(left.whose.person);
  report(room, it->second, left, true);
  if (!it->second.watches.empty()) return;
  if (it->second.owner)
    self->send(caf::actor_cast<room_actor>(it->second.owner), caf::actor_cast<relay_actor>(self));
  rooms.erase(it);
}

void relay_state::gone(std::uint64_t socket) {
  part(socket);
  const auto rooms_of = by_socket.extract(socket);
  if (rooms_of.empty()) return;
  for (const auto& room : rooms_of.mapped())
    leave(room, socket);
}

void relay_state::spread(const frame_head& head, std::uint64_t seq,
                         const std::function<frame_ptr()>& encode) {
  const auto room = rooms.find(head.room);
  if (room == rooms.end()) return;
  const held_frame frame{head.life, head.frame, seq, encode()};
  for (auto& w : room->second.watches) {
    if (w.live)
      pass(w, frame);
    else if (!w.broken)
      hold(w, frame);
  }
  if (seq > 0) note_read(head.room, room->second);
}

// Frames of another life of the room, or covered by the snapshot, are not for this watch.
void relay_state::pass(watch& to, const held_frame& what) {
  if (!to.live || what.life != to.life || what.frame <= to.frame) return;
  if (what.frame != to.frame + 1) return break_off(to);
  to.frame = what.frame;
  if (what.seq > 0) to.seq = what.seq;
  to.socket->push(what.bytes);
}

void relay_state::hold(watch& to, held_frame what) {
  to.held_bytes += what.bytes->bytes.size();
  if (to.held_bytes > limits::watch_buffer_bytes) {
    to.broken = true;
    to.held.clear();
    return;
  }
  to.held.push_back(std::move(what));
}

void relay_state::break_off(watch& to) {
  to.live = false;
  to.broken = true;
  self->send(to.client, watch_broken{to.subscription, to.seq});
}

relay_self::behavior_type relay(relay_self::stateful_pointer<relay_state> self, shared_services svc) {
  end_on_exception(self, "relay");
  auto& s = self->state;
  s.svc = std::move(svc);
  return {
      [&s](watch_room& what, const relay_client& from) { s.begin(what, from); },
      [&s](const go_live& what) { s.go(what); },
      [&s](const unwatch_room& what) {
        if (const auto it = s.by_socket.find(what.connection); it != s.by_socket.end())
          std::erase(it->second, what.room);
        s.leave(what.room, what.connection);
      },
      [&s](socket_joined& what) { s.join(what); },
      [&s](const socket_gone& what) { s.gone(what.connection); },
      [&s](const frame_head& head, const event_fact& fact, room_news& news) {
        s.spread(head, fact.seq, [&] { return s.svc->codec->event(head.room, fact); });
        s.note_event(fact, news);
      },
      [&s](room_news& what) { s.note(std::move(what), false); },
      [&s](const frame_head& head, const answer_fact& fact) {
        s.spread(head, 0, [&] { return s.svc->codec->answer(head.room, fact); });
      },
      [&s](const frame_head& head, const delta_fact& fact) {
        s.spread(head, 0, [&] { return s.svc->codec->delta(head.room, fact); });
      },
      [&s](const relay_tick& tick) { s.tick(tick.why); },
  };
}

} // namespace maru::actors
