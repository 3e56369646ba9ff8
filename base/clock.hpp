#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

// The same, read: with or without a fraction, in UTC or with an offset as "+09:00". Nothing where it is no
// time.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

} // namespace maru
