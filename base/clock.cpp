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

// Takes what it reads off the front of a text; fails for good at the first that is not as expected.
class reading {
public:
  explicit reading(std::string_view text) : left_(text) {}

  int digits(std::size_t width) {
    int out = 0;
    for (; width > 0; --width) {
      const char c = next();
      if (c < '0' || c > '9') good_ = false;
      out = out * 10 + (c - '0');
    }
    return good_ ? out : 0;
  }
  int digits(std::size_t width, int least, int most) {
    const int out = digits(width);
    if (out < least || out > most) good_ = false;
    return out;
  }
  void expect(std::string_view either) {
    if (either.find(next()) == std::string_view::npos) good_ = false;
  }
  char next() {
    if (left_.empty()) good_ = false;
    const char out = left_.empty() ? '\0' : left_.front();
    left_.remove_prefix(left_.empty() ? 0 : 1);
    return out;
  }
  [[nodiscard]] char front() const { return left_.empty() ? '\0' : left_.front(); }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool done() const { return good_ && left_.empty(); }

private:
  std::string_view left_;
  bool good_ = true;
};

// Of any length; what is finer than a millisecond is cut off.
int milliseconds_of(reading& from) {
  if (from.front() != '.') return 0;
  from.next();
  int out = 0, scale = 100;
  do {
    out += from.digits(1) * scale;
    scale /= 10;
  } while (from.good() && from.front() >= '0' && from.front() <= '9');
  return out;
}

std::chrono::minutes offset_of(reading& from) {
  const char sign = from.next();
  if (sign == 'Z' || sign == 'z') return {};
  if (sign != '+' && sign != '-') from.expect("");
  const std::chrono::hours hours{from.digits(2, 0, 23)};
  from.expect(":");
  const auto out = hours + std::chrono::minutes{from.digits(2, 0, 59)};
  return sign == '-' ? -out : out;
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

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  reading from{text};
  const year y{from.digits(4)};
  from.expect("-");
  const month m{static_cast<unsigned>(from.digits(2))};
  from.expect("-");
  const year_month_day date{y, m, day{static_cast<unsigned>(from.digits(2))}};
  from.expect("Tt ");
  const hours h{from.digits(2, 0, 23)};
  from.expect(":");
  const minutes min{from.digits(2, 0, 59)};
  from.expect(":");
  const seconds s{from.digits(2, 0, 60)}; // 60: a leap second, which is the next minute's first
  const milliseconds ms{milliseconds_of(from)};
  const auto offset = offset_of(from);
  if (!from.done() || !date.ok()) return std::nullopt;
  const sys_time<milliseconds> at = sys_days{date} + h + min + s + ms - offset;
  return at.time_since_epoch().count();
}

} // namespace maru
