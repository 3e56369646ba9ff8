#pragma once

// The root of the actor tree: actors that are always there, in the order in which they need each other.
// Invariants:
// - When one ends, those after it are stopped in reverse order and are down before any is started again.
// - A child is started once at a time.
// - A child that ends too often within the window ends the supervisor, and `gave_up` is told why.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <caf/local_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/interfaces.hpp"
#include "actors/restart_history.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"

namespace maru::actors {

struct child_spec {
  std::string name;
  // Spawns it, without monitor or link. Null, or an exception, counts as an end.
  std::function<caf::strong_actor_ptr(caf::local_actor* parent)> start;
  bool significant = true; // an orderly end is a failure, too: it has to be there
};

struct supervisor_options {
  std::vector<child_spec> children;
  const clock* time = nullptr;
  std::function<double()> random;           // [0, 1)
  std::function<void(std::string)> gave_up; // told once; the process has to end
  // Told the supervisor's handle before its first child starts; may be empty.
  std::function<void(const tree_actor&)> before_start;
  std::shared_ptr<metrics> counts = std::make_shared<metrics>();
};

// The supervisor's own timers; one of an older generation is void.
enum class supervisor_wake : std::uint8_t { start, insist, give_up_waiting };
struct supervisor_tick {
  std::uint64_t generation = 0;
  supervisor_wake why = supervisor_wake::start;
};

using supervisor_self = tree_actor::extend<caf::reacts_to<supervisor_tick>>;

struct supervisor_state {
  explicit supervisor_state(supervisor_self::stateful_pointer<supervisor_state> self) : self(self) {}
  ~supervisor_state();
  static inline const char* name = "supervisor";

  struct child {
    child_spec spec;
    caf::strong_actor_ptr handle; // null: down
    restart_history history;
    std::uint32_t restarts = 0;
    std::string last_error;
  };

  supervisor_self::stateful_pointer<supervisor_state> self;
  supervisor_options options;
  std::vector<child> children;
  std::optional<std::size_t> down_from; // this one and those after it are to be stopped and started again
  std::optional<std::size_t> stopping;  // whose end is waited for
  std::optional<caf::error> ending;     // stop all, then quit with this
  std::uint64_t generation = 0;

  void start_from(std::size_t first);
  bool start_one(child& c);
  void went_down(const caf::down_msg& down);
  void failed(std::size_t i, const std::string& why, std::string_view reason);
  void give_up(const child& c);
  void stop_next();
  void all_stopped();
  void end(caf::error why);
  void tick(const supervisor_tick& tick);
  void wake_in(std::int64_t ms, supervisor_wake why);
  [[nodiscard]] std::vector<child_health> health() const;
  [[nodiscard]] std::vector<named_actor> living() const;
};

supervisor_self::behavior_type supervisor(supervisor_self::stateful_pointer<supervisor_state> self,
                                          supervisor_options options);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::supervisor_tick)
