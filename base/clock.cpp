#include "base/clock.hpp"

#include <algorithm>
#include <chrono>

namespace maru {
namespace {

class machine_clock final : public clock {
public:
  [[nodiscard]] std::int64_t unix_ms() const override { return since_epoch<std::chrono::system_clock>(); }
  [[nodiscard]] std::int64_t steady_ms() const override { return since_epoch<std::chrono::steady_clock>(); }

private:
  template <class Clock>
  static std::int64_t since_epoch() {
    using std::chrono::milliseconds;
    return std::chrono::duration_cast<milliseconds>(Clock::now().time_since_epoch()).count();
  }
};

void append_digits(std::string& out, std::int64_t value, int width) {
  std::string digits(static_cast<std::size_t>(width), '0');
  for (auto it = digits.rbegin(); it != digits.rend(); ++it) {
    *it = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out += digits;
}

} // namespace

const clock& system_clock() {
  static const machine_clock one;
  return one;
}

std::string rfc3339(std::int64_t unix_ms) {
  using namespace std::chrono;
  // The years 0000 to 9999 are all that the format can say.
  constexpr std::int64_t least = -62'167'219'200'000;
  constexpr std::int64_t most = 253'402'300'799'999;
  const sys_time<milliseconds> at{milliseconds{std::clamp(unix_ms, least, most)}};
  const auto day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{at - day};

  std::string out;
  out.reserve(24);
  append_digits(out, static_cast<int>(date.year()), 4);
  out.push_back('-');
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out.push_back('-');
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out.push_back('T');
  append_digits(out, time.hours().count(), 2);
  out.push_back(':');
  append_digits(out, time.minutes().count(), 2);
  out.push_back(':');
  append_digits(out, time.seconds().count(), 2);
  out.push_back('.');
  append_digits(out, time.subseconds().count(), 3);
  out.push_back('Z');
  return out;
}

} // namespace maru
