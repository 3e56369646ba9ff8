#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace maru {

// A 128-bit id. The server's own are UUIDv7, so they grow with time and index well.
struct uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const uuid&, const uuid&) = default;
  [[nodiscard]] bool nil() const;
  [[nodiscard]] std::string str() const; // lower-case, hyphenated

  // Accepts the hyphenated form in either case, nothing else.
  static std::optional<uuid> parse(std::string_view text);
  static uuid v7(std::int64_t unix_ms);
};

template <class Inspector>
auto inspect(Inspector& f, uuid& x) {
  return f(x.bytes);
}

} // namespace maru

template <>
struct std::hash<maru::uuid> {
  std::size_t operator()(const maru::uuid& id) const noexcept;
};
