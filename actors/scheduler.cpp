#include "actors/scheduler.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

scheduler_actor::behavior_type scheduler(scheduler_actor::stateful_pointer<scheduler_state> self,
                                         shared_services svc) {
  end_on_exception(self, "scheduler");
  auto& s = self->state;
  tells_of_work(self, [&s] { return s.reading ? work_wait{"a sweep to be read", s.sweeps} : work_wait{}; });
  self->send(self, sweep_atom::value);
  return {
      [self, svc, &s](const sweep_read& read) {
        s.reading = false;
        for (const auto& mailbox : read.mailboxes)
          if (auto agent = agent_of(mailbox))
            self->send(svc->directory, due_atom::value, std::move(*agent));
          else if (const auto room = room_of(mailbox))
            self->send(svc->directory, due_atom::value, *room);
        self->delayed_send(self, std::chrono::milliseconds(limits::sweep_ms), sweep_atom::value);
      },
      [self, svc, &s](sweep_atom) {
        s.reading = true;
        ++s.sweeps;
        read_into(
            self, svc->store, caf::actor_cast<scheduler_actor>(self),
            [now = svc->time->unix_ms()](storage::reader& from) {
              return sweep_read{from.mailboxes_due(now, limits::mailboxes_per_sweep)};
            },
            [](const std::string&) { return sweep_read{}; });
      },
  };
}

} // namespace maru::actors
