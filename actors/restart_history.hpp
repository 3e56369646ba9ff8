#pragma once

// How often something ended badly of late, and how long it then has to wait.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace maru::actors {

struct restart_policy {
  std::uint32_t restarts = 0; // within the window
  std::int64_t window_ms = 0;
  std::int64_t backoff_first_ms = 0, backoff_most_ms = 0;
};

class restart_history {
public:
  void add(std::int64_t now_ms, const restart_policy& by) {
    forget_old(now_ms, by);
    times_.push_back(now_ms);
    if (times_.size() > by.restarts + 1) times_.erase(times_.begin());
  }

  // Within the window; never more than one too many.
  [[nodiscard]] std::uint32_t recent(std::int64_t now_ms, const restart_policy& by) {
    forget_old(now_ms, by);
    return static_cast<std::uint32_t>(times_.size());
  }

  [[nodiscard]] bool too_many(std::int64_t now_ms, const restart_policy& by) {
    return recent(now_ms, by) > by.restarts;
  }

  // Doubles with each of them; at its most once they are too many. `random` in [0, 1) spreads it by a half.
  [[nodiscard]] std::int64_t backoff_ms(std::int64_t now_ms, double random, const restart_policy& by) {
    const auto n = recent(now_ms, by);
    if (n == 0) return 0;
    auto ms = static_cast<double>(by.backoff_most_ms);
    if (n <= by.restarts)
      ms = std::min(ms, std::ldexp(static_cast<double>(by.backoff_first_ms), static_cast<int>(n) - 1));
    return std::max<std::int64_t>(1, std::llround(ms * (0.5 + random / 2)));
  }

private:
  void forget_old(std::int64_t now_ms, const restart_policy& by) {
    std::erase_if(times_, [&](auto at) { return at + by.window_ms <= now_ms; });
  }

  std::vector<std::int64_t> times_; // most have none
};

} // namespace maru::actors
