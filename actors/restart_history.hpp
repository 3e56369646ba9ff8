#pragma once

// How often something ended badly of late, and how long it then has to wait.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "config/limits.hpp"

namespace maru::actors {

class restart_history {
public:
  void add(std::int64_t now_ms) {
    forget_old(now_ms);
    times_.push_back(now_ms);
    if (times_.size() > limits::restarts + 1) times_.erase(times_.begin());
  }

  // Within the window; never more than limits::restarts + 1.
  [[nodiscard]] std::size_t recent(std::int64_t now_ms) {
    forget_old(now_ms);
    return times_.size();
  }

  [[nodiscard]] bool too_many(std::int64_t now_ms) { return recent(now_ms) > limits::restarts; }

  // Doubles with each of them; at its most once they are too many. `random` in [0, 1) spreads it by a half.
  [[nodiscard]] std::int64_t backoff_ms(std::int64_t now_ms, double random) {
    const auto n = recent(now_ms);
    if (n == 0) return 0;
    double ms = limits::restart_backoff_most_ms;
    if (n <= limits::restarts)
      ms = std::min(ms, std::ldexp(limits::restart_backoff_first_ms, static_cast<int>(n) - 1));
    return std::max<std::int64_t>(1, std::llround(ms * (0.5 + random / 2)));
  }

private:
  void forget_old(std::int64_t now_ms) {
    std::erase_if(times_, [now_ms](auto at) { return at + limits::restart_window_ms <= now_ms; });
  }

  std::vector<std::int64_t> times_; // most have none
};

} // namespace maru::actors
