#pragma once

#include "actors/services.hpp"

namespace maru::actors {

struct store_state {
  static inline const char* name = "store";
};

// The door to the persistence layer. It keeps nothing: the order of commits is the order of its mailbox.
store_actor::behavior_type store(store_actor::stateful_pointer<store_state> self, shared_services svc);

} // namespace maru::actors
