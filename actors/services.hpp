#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "actors/interfaces.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "config/settings.hpp"

namespace maru::actors {

using providers = std::map<std::string, std::shared_ptr<llm::provider>>;

// What an actor is given at its start, beside what is its own. Handles of what starts later are empty.
struct services {
  std::shared_ptr<const config::settings> settings;
  const clock* time = nullptr;
  const frame_codec* codec = nullptr;
  std::shared_ptr<storage::store> db; // for STORE alone
  std::shared_ptr<const actors::providers> models;
  std::function<double()> random; // [0, 1); thread-safe
  std::uint64_t epoch = 0;
  std::uint64_t life = 0;    // of the actors that work mailboxes: grows when they were all started anew
  std::string control_token; // of this machine's operator: may do what administrators may
  std::shared_ptr<metrics> counts;
  std::shared_ptr<call_loads> loads;                 // of the providers
  std::function<void(std::string_view place)> probe; // tests throw from here; empty in production

  tree_actor root;
  store_actor store;
  callers_actor callers;
  relay_actor relay;
  nursery_actor rooms, agents, users, sessions;
  directory_actor directory;
  accounts_actor accounts;

  void reach(std::string_view place) const {
    if (probe) probe(place);
  }
  [[nodiscard]] storage::fence under(const uuid& owner) const { return {storage::shard_of(owner), epoch}; }
};

// Who starts while nothing changes shares one.
using shared_services = std::shared_ptr<const services>;

} // namespace maru::actors
