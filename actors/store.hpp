#pragma once

#include "actors/services.hpp"

namespace maru::actors {

// The door to the persistence layer. It keeps nothing: the order of commits is the order of its mailbox.
store_actor::behavior_type store(store_actor::pointer self, shared_services svc);

} // namespace maru::actors
