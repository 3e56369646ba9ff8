#pragma once

// Lets model calls run, each by a caller of its own, or wait their turn. Invariants:
// - Each start_call of a living agent is followed by call_placed, unless the agent cancels it first.
// - A call holds its place until its caller is gone or its stream has ended.
// - When it falls, the agents fall with it (supervisor.hpp): it starts with nothing running.

#include <map>
#include <unordered_map>

#include "actors/call_queue.hpp"
#include "actors/services.hpp"

namespace maru::actors {

struct callers_tick {
  std::int64_t at = 0; // a provider's rest is over; 0: who waits is told how it moved
};
using callers_self = callers_actor::extend<caf::reacts_to<callers_tick>>;

struct callers_state {
  explicit callers_state(callers_self::stateful_pointer<callers_state> self) : self(self) {}
  static inline const char* name = "callers";

  using owner = std::pair<caf::actor_id, std::uint64_t>; // an agent and its number for the call
  struct held_call {
    agent_actor agent;
    start_call what;      // its request only until it runs
    caller_actor caller;  // from then on
    bool watched = false; // its agent is, while it waits
  };

  callers_self::stateful_pointer<callers_state> self;
  shared_services svc;
  std::optional<call_queue> queue;
  std::uint64_t next_number = 1;
  std::map<std::uint64_t, held_call> calls;
  std::map<owner, std::uint64_t> numbers;
  std::unordered_map<caf::actor_addr, std::uint64_t> callers_alive;
  bool tick_set = false;
  std::int64_t wakes_at = 0; // 0: not set

  void start(start_call& what, const agent_actor& agent);
  void cancel(const cancel_call& what, const agent_actor& agent);
  void over(const call_over& what);
  void went_down(const caf::down_msg& down);
  held_call let_go(std::uint64_t number);
  void free_place(std::uint64_t number);
  void move_on();
  void run(std::uint64_t number);
  void tell_places();
  void tick_later();
  void tick(const callers_tick& t);
};

callers_self::behavior_type callers(callers_self::stateful_pointer<callers_state> self, shared_services svc);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::callers_tick)
