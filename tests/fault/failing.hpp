#pragma once

#include "tests/support/world.hpp"

namespace maru::test {

// Fails the operation `k` of the store, and whatever is asked within `ms` after it, as long as it lives.
class failing {
public:
  failing(world& w, storage::failure acted, std::size_t k, std::int64_t ms) : w_(w) {
    w.store_fault = [this, acted, k, ms](std::string_view operation) {
      using storage::failure;
      if (acted == failure::full && operation == "read") return failure::none; // still read
      const auto now = w_.rig().time().steady_ms();
      if (!met_ && ++asked_ == k) {
        met_ = true;
        since_ = now;
        at_ = operation;
        return acted;
      }
      return met_ && now - since_ < ms ? acted : failure::none;
    };
  }
  ~failing() { w_.store_fault = nullptr; }
  failing(const failing&) = delete;
  failing& operator=(const failing&) = delete;

  [[nodiscard]] bool met() const { return met_; }             // there was such an operation
  [[nodiscard]] const std::string& at() const { return at_; } // its name

private:
  world& w_;
  std::size_t asked_ = 0;
  std::int64_t since_ = 0;
  bool met_ = false;
  std::string at_;
};

} // namespace maru::test
