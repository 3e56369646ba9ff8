#pragma once

// What the actors, the mailboxes and the store are like just now, for whoever watches the server. Invariants:
// - It waits for nobody: what has not answered in time is told as waiting still.
// - One probe of an actor is under way at a time, so a stuck one is not buried under them.
// - The store is read at most once in limits::observed_store_ms.

#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "actors/services.hpp"

namespace maru::actors {

struct store_observed {
  std::uint64_t round = 0;
  bool failed = false;
  storage::observation what;
  std::vector<reading> process;
};
struct observer_tick {
  std::uint64_t round = 0;
};
using observer_self = observer_actor::extend<caf::reacts_to<store_observed>, caf::reacts_to<observer_tick>>;

struct observer_state {
  explicit observer_state(observer_self::stateful_pointer<observer_state> self) : self(self) {}
  static inline const char* name = "observer";

  struct probe {
    std::size_t kind = 0;
    std::int64_t sent = 0;
  };
  struct kind_seen {
    double alive = 0, messages = 0;
    std::int64_t wait_ms = 0;
    bool probed = false;
  };

  observer_self::stateful_pointer<observer_state> self;
  shared_services svc;
  std::function<std::size_t()> passwords_waiting;
  std::vector<observed> asking; // for the round under way
  std::uint64_t round = 0;
  std::size_t awaited = 0; // of the round: probes, lists and the read
  bool running = false;

  std::map<std::size_t, kind_seen> kinds;               // of the round
  std::unordered_map<caf::actor_addr, probe> under_way; // of any round
  std::set<std::string> lists;                          // whose children were asked for; "" the root
  store_observed last;
  bool has_last = false, reading_store = false;
  std::int64_t read_at = 0;

  void take(observed tell);
  void start_round();
  void ask_root();
  void ask_nursery(const std::string& name, const caf::strong_actor_ptr& who);
  void ask(std::size_t kind, const caf::strong_actor_ptr& who);
  void answered(const caf::actor_addr& who, std::uint64_t of_round, double messages);
  void read_store();
  void came(std::uint64_t of_round);
  void finish();
  [[nodiscard]] std::size_t kind_of(std::string_view name) const;
  void add_kinds(std::vector<reading>& to);
  void add_store(std::vector<reading>& to) const;
};

observer_self::behavior_type observer(observer_self::stateful_pointer<observer_state> self,
                                      shared_services svc, std::function<std::size_t()> passwords_waiting);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::store_observed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::observer_tick)
