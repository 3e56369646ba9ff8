#pragma once

// Hands the frames of rooms to the sockets of this node, each serialised once. Invariants:
// - Between watch_room and go_live a socket gets nothing of the room from here.
// - After go_live it gets every frame above the snapshot's, once and in order, or is told that it is broken.

#include <deque>
#include <unordered_map>
#include <vector>

#include "actors/services.hpp"

namespace maru::actors {

struct held_frame {
  std::uint64_t life = 0, frame = 0, seq = 0;
  frame_ptr bytes;
};

struct watch {
  std::uint64_t subscription = 0;
  connection_ptr socket;
  relay_client client;
  bool live = false, broken = false;
  std::uint64_t life = 0, frame = 0; // the last one let through or covered by the snapshot
  std::uint64_t seq = 0;             // newest event let through
  std::deque<held_frame> held;
  std::size_t held_bytes = 0;
};

struct watched_room {
  caf::strong_actor_ptr owner;
  std::vector<watch> watches;
};

struct relay_state {
  explicit relay_state(relay_actor::stateful_pointer<relay_state> self) : self(self) {}
  static inline const char* name = "relay";

  relay_actor::stateful_pointer<relay_state> self;
  services svc;
  std::unordered_map<uuid, watched_room> rooms;
  std::unordered_map<std::uint64_t, std::vector<uuid>> by_socket;

  void begin(watch_room& what, const relay_client& from);
  void go(const go_live& what);
  void leave(const uuid& room, std::uint64_t socket);
  void gone(std::uint64_t socket);
  void spread(const frame_head& head, std::uint64_t seq, const std::function<frame_ptr()>& encode);
  void pass(watch& to, const held_frame& what);
  void hold(watch& to, held_frame what);
  void break_off(watch& to);
};

relay_actor::behavior_type relay(relay_actor::stateful_pointer<relay_state> self, services svc);

} // namespace maru::actors
