#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/codes.hpp"

namespace maru {

// A value, or the reason why there is none.
template <class T>
class result {
public:
  result(T value) : held_(std::move(value)) {}
  result(refusal why) : held_(std::move(why)) {}

  explicit operator bool() const { return held_.index() == 0; }
  T& operator*() { return std::get<0>(held_); }
  const T& operator*() const { return std::get<0>(held_); }
  T* operator->() { return &std::get<0>(held_); }
  const T* operator->() const { return &std::get<0>(held_); }
  [[nodiscard]] const refusal& error() const { return std::get<1>(held_); }

private:
  std::variant<T, refusal> held_;
};

} // namespace maru
