#pragma once

// Hands the frames of rooms to the sockets of this node, each serialised once, and tells those that have a
// room not open what a list shows of it. Invariants:
// - Between watch_room and go_live a socket gets nothing of the room from here.
// - After go_live it gets every frame above the snapshot's, once and in order, or is told that it is broken.
// - A socket gets at most one `room` frame of a room in limits::news_ms, and none of a room that it watches.

#include <deque>
#include <list>
#include <unordered_map>
#include <vector>

#include "actors/services.hpp"

namespace maru::actors {

enum class relay_wake : std::uint8_t { news, reads };
struct relay_tick {
  relay_wake why = relay_wake::news;
};

using relay_self = relay_actor::extend<caf::reacts_to<relay_tick>>;

struct held_frame {
  std::uint64_t life = 0, frame = 0, seq = 0;
  frame_ptr bytes;
};

// Whose a socket is, and whether it shows a list of rooms.
struct socket_owner {
  uuid person; // nil: not known
  bool lists = false;
};

struct watch {
  std::uint64_t subscription = 0;
  connection_ptr socket;
  socket_owner whose;
  relay_client client;
  bool live = false, broken = false;
  std::uint64_t life = 0, frame = 0; // the last one let through or covered by the snapshot
  std::uint64_t seq = 0;             // newest event let through, or replayed
  std::uint64_t told = 0;            // as far the room knows it
  std::list<held_frame> held;
  std::size_t held_bytes = 0;
};

struct watched_room {
  caf::strong_actor_ptr owner;
  std::vector<watch> watches;
  std::unordered_map<uuid, std::size_t> watching; // sockets with a list, by person
  bool reads_wait = false;                        // listed in newly_read
};

struct relay_state {
  explicit relay_state(relay_self::stateful_pointer<relay_state> self) : self(self) {}
  static inline const char* name = "relay";

  relay_self::stateful_pointer<relay_state> self;
  shared_services svc;
  std::unordered_map<uuid, watched_room> rooms;
  std::unordered_map<std::uint64_t, std::vector<uuid>> by_socket;

  std::unordered_map<uuid, std::vector<connection_ptr>> people; // their sockets with a list
  std::unordered_map<std::uint64_t, socket_owner> owner_of;     // each socket
  std::unordered_map<uuid, room_news> news;                     // not yet told, by room
  std::deque<room_news> due;                                    // being told
  bool news_soon = false;
  std::vector<uuid> newly_read; // rooms
  bool reads_soon = false;

  void begin(watch_room& what, const relay_client& from);
  void go(const go_live& what);
  void leave(const uuid& room, std::uint64_t socket);
  void gone(std::uint64_t socket);
  void spread(const frame_head& head, std::uint64_t seq, const std::function<frame_ptr()>& encode);
  void pass(watch& to, const held_frame& what);
  void hold(watch& to, held_frame what);
  void break_off(watch& to);

  // relay_news.cpp: for lists, and what was read
  void join(socket_joined& what);
  void part(std::uint64_t socket);
  void note_event(const event_fact& fact, room_news& news);
  void note(room_news what, bool whole);
  void tick(relay_wake why);
  void wake_in(std::uint32_t ms, relay_wake why);
  void tell_news();
  void tell(const room_news& what);
  void note_read(const uuid& id, watched_room& room);
  void report_reads();
  void report(const uuid& id, const watched_room& room, watch& from, bool ended);
  [[nodiscard]] bool somebody_waits(const room_news& what) const;
  [[nodiscard]] bool has_others(const watched_room& room, const uuid& person) const;
};

relay_self::behavior_type relay(relay_self::stateful_pointer<relay_state> self, shared_services svc);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::relay_tick)
