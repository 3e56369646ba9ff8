#include "actors/callers.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

struct caller_state {
  static inline const char* name = "caller";
  std::unique_ptr<llm::call> running; // its destruction closes the stream
};

// A request that a provider refuses says that it works.
call_health health_of(const llm::outcome& how) {
  return how.what == llm::fault::none || !how.retryable ? call_health::well : call_health::ill;
}

struct call_place {
  callers_actor queue;
  std::uint64_t number = 0;
  bool tries = false; // a provider that rests: its first words are news
};

// The stream's own thread tells the agent; the caller is there to be ended, and to end with its agent.
caller_actor::behavior_type caller(caller_actor::stateful_pointer<caller_state> self, shared_services svc,
                                   start_call what, agent_actor agent, call_place at) {
  end_on_exception(self, "caller");
  self->monitor(agent);
  self->set_down_handler([self](const caf::down_msg&) { self->quit(); });
  const auto me = caf::actor_cast<caller_actor>(self);
  const auto call = what.call;
  llm::events tell;
  tell.pieces = [agent, call, at](std::vector<std::string> pieces) mutable {
    caf::anon_send(agent, call_pieces{call, std::move(pieces)});
    if (std::exchange(at.tries, false))
      caf::anon_send(at.queue, call_over{at.number, call_health::well, false});
  };
  tell.ended = [agent, call, me, at](llm::outcome how) {
    caf::anon_send(at.queue, call_over{at.number, health_of(how), true});
    caf::anon_send(agent, call_ended{call, std::move(how)});
    caf::anon_send(me, cancel_call{call});
  };
  svc->reach("caller.start");
  self->state.running = svc->models->at(what.wish.provider)->start(std::move(what.what), std::move(tell));
  return {[self](const cancel_call&) { self->quit(); }};
}

} // namespace

void callers_state::start(start_call& what, const agent_actor& agent) {
  if (!svc->models->contains(what.wish.provider)) {
    llm::outcome none;
    none.what = llm::fault::unreachable;
    none.detail = "provider '" + what.wish.provider + "' is not configured";
    return self->send(agent, call_ended{what.call, std::move(none)});
  }
  const auto number = next_number++;
  const auto call = what.call;
  queue->add(number, what.wish);
  numbers[{agent.id(), call}] = number;
  calls.emplace(number, held_call{agent, std::move(what), {}, false});
  move_on();
  const auto place = queue->position(number);
  if (place == 0) return; // it runs, or was sent elsewhere
  self->monitor(agent);
  calls.at(number).watched = true;
  self->send(agent, call_placed{call, {}, place});
  tick_later();
}

void callers_state::cancel(const cancel_call& what, const agent_actor& agent) {
  const auto it = numbers.find({agent.id(), what.call});
  if (it == numbers.end()) return;
  const auto number = it->second;
  auto& held = calls.at(number);
  if (held.caller) return self->send(held.caller, what); // its place is free once it is gone
  free_place(number);
  move_on();
}

void callers_state::over(const call_over& what) {
  queue->judge(what.number, what.how, svc->time->steady_ms());
  if (what.ended) free_place(what.number);
  move_on();
}

void callers_state::went_down(const caf::down_msg& down) {
  if (const auto caller = callers_alive.extract(down.source); !caller.empty()) {
    free_place(caller.mapped());
    return move_on();
  }
  std::vector<std::uint64_t> gone;
  for (const auto& [number, held] : calls)
    if (held.watched && held.agent == down.source) gone.push_back(number);
  for (const auto number : gone)
    free_place(number);
  move_on();
}

callers_state::held_call callers_state::let_go(std::uint64_t number) {
  auto node = calls.extract(number);
  if (node.empty()) return {};
  auto& held = node.mapped();
  numbers.erase({held.agent.id(), held.what.call});
  if (held.watched) self->demonitor(held.agent.address());
  return std::move(held);
}

void callers_state::free_place(std::uint64_t number) {
  let_go(number);
  queue->remove(number, svc->time->steady_ms());
}

// What may run now runs; what has another provider to try is told so.
void callers_state::move_on() {
  const auto news = queue->next(svc->time->steady_ms());
  for (const auto number : news.run)
    run(number);
  for (const auto number : news.elsewhere) {
    const auto held = let_go(number);
    self->send(held.agent, call_placed{held.what.call, {}, 0, true});
  }
  const auto wake = queue->wake_at(svc->time->steady_ms());
  if (!wake || (wakes_at > 0 && wakes_at <= *wake)) return;
  wakes_at = *wake;
  self->delayed_send(self, std::chrono::milliseconds(*wake - svc->time->steady_ms()), callers_tick{*wake});
}

void callers_state::run(std::uint64_t number) {
  auto& held = calls.at(number);
  const auto call = held.what.call;
  if (std::exchange(held.watched, false)) self->demonitor(held.agent.address());
  const call_place place{caf::actor_cast<callers_actor>(caf::actor_cast<callers_self>(self)), number,
                         queue->tries(number)};
  held.caller =
      self->spawn<caf::monitored>(caller, svc, std::exchange(held.what, {call, {}, {}}), held.agent, place);
  callers_alive[held.caller.address()] = number;
  self->send(held.agent, call_placed{call, held.caller});
}

void callers_state::tell_places() {
  for (const auto& [number, place] : queue->moved()) {
    const auto& held = calls.at(number);
    self->send(held.agent, call_placed{held.what.call, {}, place});
  }
}

void callers_state::tick_later() {
  if (std::exchange(tick_set, true)) return;
  self->delayed_send(self, std::chrono::milliseconds(limits::call_positions_ms), callers_tick{});
}

void callers_state::tick(const callers_tick& t) {
  if (t.at > 0) {
    if (t.at != wakes_at) return; // an earlier one was set since
    wakes_at = 0;
    return move_on();
  }
  tick_set = false;
  tell_places();
  if (queue->any_wait()) tick_later();
}

callers_self::behavior_type callers(callers_self::stateful_pointer<callers_state> self, shared_services svc) {
  end_on_exception(self, "callers");
  auto& s = self->state;
  s.svc = std::move(svc);
  s.queue.emplace(*s.svc->settings, s.svc->loads, s.svc->counts);
  self->set_down_handler([&s](const caf::down_msg& down) { s.went_down(down); });
  return {
      [&s](start_call& what, const agent_actor& agent) { s.start(what, agent); },
      [&s](const cancel_call& what, const agent_actor& agent) { s.cancel(what, agent); },
      [&s](const call_over& what) { s.over(what); },
      [&s](const callers_tick& t) { s.tick(t); },
  };
}

} // namespace maru::actors
