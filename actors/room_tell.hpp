#pragma once

#include <caf/typed_event_based_actor.hpp>

#include "actors/event_data.hpp"
#include "actors/room.hpp"

namespace maru::actors {

// To each node that watches: one message, serialised there once.
template <class Fact>
void room_state::tell(const Fact& fact) {
  ++frame;
  for (const auto& relay : relays)
    self->send(relay, frame_head{id, life, frame}, fact);
}

} // namespace maru::actors
