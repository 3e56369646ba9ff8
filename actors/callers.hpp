#pragma once

#include "actors/services.hpp"

namespace maru::actors {

struct callers_state {
  static inline const char* name = "callers";
};

// Starts a caller for each model call. It keeps none of them: a caller lives as long as its stream,
// its agent watches it, and it watches its agent.
callers_actor::behavior_type callers(callers_actor::stateful_pointer<callers_state> self,
                                     shared_services svc);

} // namespace maru::actors
