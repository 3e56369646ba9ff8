#pragma once

// One run of the whole: people, models, network, disk and faults, all of which follow from a seed.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace maru::test {

struct plan {
  std::uint64_t seed = 0;
  std::size_t steps = std::numeric_limits<std::size_t>::max(); // no more than that
  std::set<std::size_t> without;                               // steps that are left out
  std::function<void(const std::string&)> trace;               // each line of it
};

// What came up, by name: what no run ever meets, no run has tested.
using tally = std::map<std::string, std::size_t>;

struct verdict {
  std::vector<std::string> wrong; // empty: every promise was kept
  std::size_t steps = 0;          // taken
  std::uint64_t trace = 0;        // a hash of all its lines
  tally met;
};

verdict simulate(const plan& what);
// The same in a process of its own: exactly the same each time.
verdict simulate_apart(const plan& what);

// A shorter plan that breaks a promise as well: cut behind the step that broke it, then without what it does
// not need. `most` runs are tried.
plan shrink(const plan& broken, std::size_t most = 200);

// The command that replays it.
std::string command_for(const plan& what, const std::string& mutation);

} // namespace maru::test
