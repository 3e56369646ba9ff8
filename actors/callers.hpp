#pragma once

#include "actors/services.hpp"

namespace maru::actors {

// Starts a caller for each model call. It keeps none of them: a caller lives as long as its stream,
// its agent watches it, and it watches its agent.
callers_actor::behavior_type callers(callers_actor::pointer self, shared_services svc);

} // namespace maru::actors
