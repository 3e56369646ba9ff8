#pragma once

// Finds or activates the actor behind a name. Invariants:
// - Each ask is answered once: with the name's actor, or with why there is none.
// - Asks for one name that are under way are one ask of its nursery.
// - What it remembers lives: an entry goes with its actor.

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/services.hpp"

namespace maru::actors {

struct directory_state {
  // Told the actor, or null and why.
  using asker = std::function<void(const caf::strong_actor_ptr&, const caf::error&)>;

  // What is known of the children of one nursery.
  struct shelf {
    nursery_actor services::* nursery; // on the board
    std::unordered_map<std::string, caf::strong_actor_ptr> living;
    std::unordered_map<std::string, std::vector<asker>> asked;
  };
  struct place {
    shelf* on = nullptr;
    const std::string* name = nullptr; // in `living`
  };

  explicit directory_state(directory_actor::stateful_pointer<directory_state> self) : self(self) {}
  ~directory_state();
  static inline const char* name = "directory";

  directory_actor::stateful_pointer<directory_state> self;
  std::function<shared_services()> board; // what runs now
  shelf rooms{&services::rooms, {}, {}}, agents{&services::agents, {}, {}}, users{&services::users, {}, {}},
      sessions{&services::sessions, {}, {}};
  std::unordered_map<caf::actor_addr, place> places; // of the living
  std::size_t waiting = 0;

  template <class Handle>
  caf::typed_response_promise<Handle> promise_of(shelf& on, const std::string& child);
  template <class Handle>
  void tell_due(shelf& on, const std::string& child);
  void find(shelf& on, const std::string& child, asker tell);
  void found(shelf& on, const std::string& child, const caf::strong_actor_ptr& handle, const caf::error& why);
  void went_down(const caf::actor_addr& who);
};

// `board` gives the handles of what runs now: nurseries may be started anew below it.
directory_actor::behavior_type directory(directory_actor::stateful_pointer<directory_state> self,
                                         std::function<shared_services()> board);

} // namespace maru::actors
