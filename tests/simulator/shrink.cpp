#include <algorithm>

#include "tests/simulator/simulation.hpp"

namespace maru::test {

namespace {

bool breaks(const plan& what, std::size_t& runs_left) {
  if (runs_left == 0) return false;
  --runs_left;
  return !simulate_apart(what).wrong.empty();
}

} // namespace

// Steps have random numbers of their own, so the rest stays much as it was. Halves first, then less and less.
plan shrink(const plan& broken, std::size_t most) {
  plan best = broken;
  best.trace = nullptr;
  best.steps = simulate_apart(best).steps;
  for (auto size = std::max<std::size_t>(best.steps / 2, 1); most > 0; size /= 2) {
    for (std::size_t from = 0; from < best.steps; from += size) {
      auto less = best;
      for (auto i = from; i < std::min(from + size, best.steps); ++i)
        less.without.insert(i);
      if (less.without.size() > best.without.size() && breaks(less, most)) best = std::move(less);
    }
    if (size == 1) break;
  }
  return best;
}

std::string command_for(const plan& what, const std::string& mutation) {
  auto out = "build/release/maru_simulator --seed " + std::to_string(what.seed);
  if (what.steps != plan{}.steps) out += " --steps " + std::to_string(what.steps);
  std::string list;
  for (const auto step : what.without)
    list += (list.empty() ? "" : ",") + std::to_string(step);
  if (!list.empty()) out += " --without " + list;
  if (!mutation.empty()) out += " --mutation " + mutation;
  return out + " --trace";
}

} // namespace maru::test
