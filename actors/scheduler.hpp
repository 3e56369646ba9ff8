#pragma once

#include "actors/services.hpp"

namespace maru::actors {

struct sweep_read {
  std::vector<std::string> mailboxes;
};

using scheduler_actor =
    caf::typed_actor<caf::reacts_to<sweep_read>, caf::reacts_to<caf::atom_constant<caf::atom("sweep")>>>;
using sweep_atom = caf::atom_constant<caf::atom("sweep")>;

struct scheduler_state {
  static inline const char* name = "scheduler";
  bool reading = false;
  std::uint64_t sweeps = 0;
};

// The sweeper: wakes the owners of due entries that nobody works on, at once when the process starts and then
// as a net below every lost wake-up.
scheduler_actor::behavior_type scheduler(scheduler_actor::stateful_pointer<scheduler_state> self,
                                         shared_services svc);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::sweep_read)
