#pragma once

// When something repeated happens next, as crontab(5) writes it, in a time zone of the IANA database.

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace date {
class time_zone;
}

namespace maru {

class cron {
public:
  // Five fields: minute, hour, day of month, month, day of week (0 or 7 is Sunday); lists, ranges, steps, and
  // names of months and days. When both days are restricted, either one is enough. `zone` as "Asia/Seoul".
  // Refused as invalid_field.
  static result<cron> parse(std::string_view fields, const std::string& zone);

  // The first moment after that one, in unix milliseconds; nothing when there is none in the next years.
  // A time that a clock put forward leaves out happens when it jumps, one that a clock put back brings twice
  // happens the first time; but what happens in every hour follows the hours as they pass.
  [[nodiscard]] std::optional<std::int64_t> next(std::int64_t after_ms) const;

  // Between two times of day, the last and the first of the next day too, by the clock on the wall.
  [[nodiscard]] std::uint32_t shortest_gap_minutes() const;

private:
  [[nodiscard]] bool on_day(unsigned month, unsigned day, unsigned weekday) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool every_hour_ = false, any_day_ = false, any_weekday_ = false;
  const date::time_zone* zone_ = nullptr; // of a database that lives as long as the process
};

} // namespace maru
