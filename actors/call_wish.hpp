#pragma once

// A model call before it runs, and what others may know of those that wait.

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/uuid.hpp"

namespace maru::actors {

struct call_wish {
  std::string provider;
  std::string agent;
  uuid user;                       // who asked
  bool suspect = false;            // was lost with many processes: no two such run at a time
  std::vector<std::string> others; // further providers of the agent
  bool may_leave = false;          // one of them does not rest, for all it knows
};

// What a call says of its provider.
enum class call_health : std::uint8_t { unknown, well, ill };

// How busy a provider is, or an agent that has a bound of its own: written by CALLERS, read where questions
// are taken. What another bound holds back does not count.
struct call_load {
  std::atomic<bool> rests{false};
  std::atomic<std::uint32_t> waiting{0};
  std::atomic<std::uint32_t> wait_ms{0}; // about how long the next would wait
};
struct call_loads {
  std::map<std::string, call_load> providers, agents; // all there are, from the start
};

} // namespace maru::actors
