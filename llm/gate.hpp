#pragma once

// What stands between a call's network thread and its owner. Invariants:
// - Only the network's side tells; it tells one event at a time, and `ended` once.
// - No event begins after cancel() returned.
// - The owner's functions are let go as soon as nothing more can be told, so what they hold may hold the
// call.

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "llm/provider.hpp"

namespace maru::llm {

class gate {
public:
  explicit gate(events tell) : tell_(std::move(tell)) {}

  // False when the call was cancelled.
  bool pieces(std::vector<std::string> some) {
    if (!move(state::open, state::telling)) return false;
    try {
      tell_.pieces(std::move(some));
    } catch (...) {
      told(); // its end may still be told
      throw;
    }
    return told();
  }

  void end(outcome how) {
    if (!move(state::open, state::over)) return;
    auto last = std::exchange(tell_, {});
    last.ended(std::move(how));
  }

  // False when there was nothing left to cancel.
  bool cancel() {
    if (move(state::open, state::over)) {
      auto gone = std::exchange(tell_, {});
      return true;
    }
    return move(state::telling, state::over) || cancel_again();
  }

private:
  enum class state : std::uint8_t { open, telling, over };

  // Back from the owner's function. False when the call was cancelled meanwhile.
  bool told() {
    if (move(state::telling, state::open)) return true;
    auto gone = std::exchange(tell_, {});
    return false;
  }

  bool move(state from, state to) { return state_.compare_exchange_strong(from, to); }

  // The teller may have come back to `open` between the two attempts.
  bool cancel_again() { return state_.load() != state::over && cancel(); }

  events tell_;
  std::atomic<state> state_{state::open};
};

} // namespace maru::llm
