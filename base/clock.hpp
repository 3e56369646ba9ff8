#pragma once

#include <cstdint>
#include <string>

namespace maru {

// Where time comes from. Tests move their own.
class clock {
public:
  virtual ~clock() = default;
  [[nodiscard]] virtual std::int64_t unix_ms() const = 0;   // for people and for due times
  [[nodiscard]] virtual std::int64_t steady_ms() const = 0; // for intervals; never goes back
};

// The machine's clocks.
const clock& system_clock();

std::string rfc3339(std::int64_t unix_ms); // 2026-01-31T09:00:00.123Z

} // namespace maru
