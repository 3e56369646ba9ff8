#include "actors/callers.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"

namespace maru::actors {
namespace {

struct caller_state {
  static inline const char* name = "caller";
  std::unique_ptr<llm::call> running; // its destruction closes the stream
};

// The stream's own thread tells the agent; the caller is there to be ended, and to end with its agent.
caller_actor::behavior_type caller(caller_actor::stateful_pointer<caller_state> self, shared_services svc,
                                   start_call what, agent_actor agent) {
  end_on_exception(self, "caller");
  self->monitor(agent);
  self->set_down_handler([self](const caf::down_msg&) { self->quit(); });
  const auto number = what.call;
  const auto provider = svc->models->find(what.provider);
  if (provider == svc->models->end()) {
    llm::outcome none;
    none.what = llm::fault::unreachable;
    none.detail = "provider '" + what.provider + "' is not configured";
    self->send(agent, call_ended{number, std::move(none)});
    self->quit();
  } else {
    const auto me = caf::actor_cast<caller_actor>(self);
    llm::events tell;
    tell.pieces = [agent, number](std::vector<std::string> pieces) {
      caf::anon_send(agent, call_pieces{number, std::move(pieces)});
    };
    tell.ended = [agent, number, me](llm::outcome how) {
      caf::anon_send(agent, call_ended{number, std::move(how)});
      caf::anon_send(me, cancel_call{number});
    };
    svc->reach("caller.start");
    self->state.running = provider->second->start(std::move(what.what), std::move(tell));
  }
  return {[self](const cancel_call&) { self->quit(); }};
}

} // namespace

callers_actor::behavior_type callers(callers_actor::stateful_pointer<callers_state> self,
                                     shared_services svc) {
  end_on_exception(self, "callers");
  return {
      [self, svc](start_call& what, const agent_actor& agent) -> caller_actor {
        return self->spawn(caller, svc, std::move(what), agent);
      },
  };
}

} // namespace maru::actors
