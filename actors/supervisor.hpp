#pragma once

// The root of the actor tree: actors that are always there, in the order in which they need each other.
// Invariants:
// - When one ends, those after it are stopped in reverse order and are down before any is started again.
// - A child is started once at a time.
// - A child that ends too often within its period is the last that is tried: `gave_up` is told why, and what
//   still runs goes on until the supervisor is told to end, so that clients hear of it in order.
// - A child that answers nothing, or whose work stands still, is killed, and that counts as its end.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <caf/local_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/interfaces.hpp"
#include "actors/supervision.hpp"
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
  supervision how = supervision_of({}, "");
  const clock* time = nullptr;
  std::function<double()> random;           // [0, 1)
  std::function<void(std::string)> gave_up; // told once; the process has to end
  // Told the supervisor's handle before its first child starts; may be empty.
  std::function<void(const tree_actor&)> before_start;
  std::shared_ptr<metrics> counts = std::make_shared<metrics>();
  std::function<void()> looked{}; // at its children, again; may be empty
};

// The supervisor's own timers; one of an older generation is void, but for `look`.
enum class supervisor_wake : std::uint8_t { start, insist, give_up_waiting, end, look };
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
    std::int64_t last_error_at = 0; // unix time
    child_watch watch;
    std::string stuck; // why it was killed, until it is down
    std::uint32_t looks_since = 0;
  };

  supervisor_self::stateful_pointer<supervisor_state> self;
  supervisor_options options;
  std::vector<child> children;
  std::optional<std::size_t> down_from; // this one and those after it are to be stopped and started again
  std::optional<std::size_t> stopping;  // whose end is waited for
  std::optional<caf::error> ending;     // stop all, then quit with this
  bool given_up = false;                // nothing is started any more
  std::uint64_t generation = 0;
  store_watch disk;

  void start_from(std::size_t first);
  bool start_one(child& c);
  void went_down(const caf::down_msg& down);
  void failed(std::size_t i, const std::string& why, std::string_view reason);
  void give_up(const std::string& why);
  void look();
  void look_at(std::size_t i, std::int64_t now);
  void answered(const caf::actor_addr& who, const probe_answer& what);
  void replace(child& c, const std::string& why);
  [[nodiscard]] std::uint32_t looks_most() const;
  [[nodiscard]] child_state state_of(std::size_t i) const;
  void stop_next();
  void all_stopped();
  void end(caf::error why);
  void tick(const supervisor_tick& tick);
  void wake_in(std::int64_t ms, supervisor_wake why);
  [[nodiscard]] root_health health();
  [[nodiscard]] std::vector<named_actor> living() const;
};

supervisor_self::behavior_type supervisor(supervisor_self::stateful_pointer<supervisor_state> self,
                                          supervisor_options options);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::supervisor_tick)
