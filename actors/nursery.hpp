#pragma once

// Supervises actors that are started by name, on demand. Invariants:
// - At most one child of a name lives.
// - After a crash the name's next child starts only once its backoff is over, and is told of the crash.
// - No child outlives the nursery.
// - A child that answers nothing, or whose work stands still, is killed, and that counts as a crash.

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/local_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/interfaces.hpp"
#include "actors/supervision.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"

namespace maru::actors {

struct nursery_options {
  std::string name; // "rooms"
  // Spawns the child, without monitor or link. `after_crash`: the one of this name before ended abnormally.
  std::function<caf::strong_actor_ptr(caf::local_actor* parent, const std::string& name, bool after_crash)>
      start;
  const clock* time = nullptr;
  std::function<double()> random; // [0, 1)
  std::shared_ptr<metrics> counts = std::make_shared<metrics>();
  supervision how = supervision_of({}, "rooms");
  std::function<void(std::string)> gave_up{}; // told of what only the end of the process mends; may be empty
};

enum class nursery_wake : std::uint8_t { start, insist, give_up_waiting, look };
struct nursery_tick {
  nursery_wake why = nursery_wake::start;
  std::string name; // of `start`
};

using nursery_self = nursery_actor::extend<caf::reacts_to<nursery_tick>>;

struct nursery_state {
  using promise = caf::typed_response_promise<caf::strong_actor_ptr>;

  explicit nursery_state(nursery_self::stateful_pointer<nursery_state> self) : self(self) {}
  ~nursery_state();
  static inline const char* name = "nursery";

  struct child {
    caf::strong_actor_ptr handle; // null: down
    restart_history history;
    std::uint32_t restarts = 0;
    std::string last_error;
    std::int64_t last_error_at = 0; // unix time
    child_watch watch;
    std::string stuck; // why it was killed, until it is down
    std::uint32_t looks_since = 0;
    bool crashed = false;      // and not started since
    bool waking = false;       // a timer is under way
    std::int64_t ready_at = 0; // when its backoff is over
    std::vector<promise> waiting;
  };
  struct crash {
    std::int64_t at = 0;
    std::string name;
  };

  nursery_self::stateful_pointer<nursery_state> self;
  nursery_options options;
  std::unordered_map<std::string, child> children;
  std::unordered_map<caf::actor_addr, std::pair<const std::string, child>*> living; // in `children`
  std::deque<crash> recent;                                                         // within the window
  std::unordered_map<std::string, std::size_t> recent_of; // how many of them by name
  std::deque<std::string> crashed;                        // perhaps not started since, oldest first
  std::optional<caf::error> ending;
  store_watch disk;
  std::size_t next_bucket = 0; // of the living, to be looked at
  std::uint64_t looks = 0;

  promise find(const std::string& child_name);
  void start(const std::string& child_name, child& c);
  void fell(const std::string& child_name, child& c, const std::string& why, std::string_view reason);
  void went_down(const caf::down_msg& down);
  void tick(const nursery_tick& tick);
  void wake(const std::string& child_name, child& c);
  void end(caf::error why);
  void end_if_empty();
  void forget_old();
  void forget_if_calm(const std::string& child_name);
  void look();
  void look_later();
  void look_at(const std::string& child_name, child& c, std::int64_t now);
  void answered(const caf::actor_addr& who, const probe_answer& what);
  void replace(const std::string& child_name, child& c, const std::string& why);
  [[nodiscard]] std::uint32_t looks_most() const;
  [[nodiscard]] std::int64_t period_ms() const {
    return std::int64_t{options.how.subtree.period_seconds} * 1000;
  }
  [[nodiscard]] std::vector<child_health> worst(std::size_t most);
  [[nodiscard]] nursery_health health();
  [[nodiscard]] nursery_sample sample(std::size_t most) const;
};

nursery_self::behavior_type nursery(nursery_self::stateful_pointer<nursery_state> self,
                                    nursery_options options);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::nursery_tick)
