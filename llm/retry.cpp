#include "llm/retry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "config/limits.hpp"
#include "llm/provider.hpp"

namespace maru::llm {
namespace {

using std::chrono::milliseconds;

std::optional<int> digits(std::string_view s) {
  int n = 0;
  auto [stop, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (s.empty() || s.front() == '-' || error != std::errc{} || stop != s.data() + s.size())
    return std::nullopt;
  return n;
}

std::optional<unsigned> month_of(std::string_view name) {
  static constexpr std::array<std::string_view, 12> names{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<unsigned>(at - names.begin()) + 1;
}

// "Sun, 06 Nov 1994 08:49:37 GMT", the one form that may be sent.
std::optional<std::int64_t> http_date_seconds(std::string_view s) {
  if (s.size() != 29 || s.substr(3, 2) != ", " || s.substr(25) != " GMT" || s[19] != ':' || s[22] != ':')
    return std::nullopt;
  auto day = digits(s.substr(5, 2));
  auto month = month_of(s.substr(8, 3));
  auto year = digits(s.substr(12, 4));
  auto hour = digits(s.substr(17, 2));
  auto minute = digits(s.substr(20, 2));
  auto second = digits(s.substr(23, 2));
  if (!day || !month || !year || !hour || !minute || !second) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{*month},
                                   std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  return days * 86'400 + *hour * 3'600 + *minute * 60 + *second;
}

} // namespace

std::chrono::milliseconds parse_retry_after(std::string_view text, std::int64_t now_unix_ms) {
  constexpr std::int64_t most = limits::provider_retry_after_most_ms;
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  if (!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    auto seconds = digits(text);
    return milliseconds(seconds ? std::min<std::int64_t>(std::int64_t{*seconds} * 1000, most) : most);
  }
  if (auto at = http_date_seconds(text))
    return milliseconds(std::clamp<std::int64_t>(*at * 1000 - now_unix_ms, 0, most));
  return milliseconds(0);
}

bool retryable_status(int status) {
  return status == 408 || status == 429 || (status >= 500 && status <= 599);
}

std::chrono::milliseconds retry_delay(const config::provider_settings& options, std::uint32_t next,
                                      const outcome& last, double random) {
  if (last.retry_after.count() > 0)
    return std::min(last.retry_after, milliseconds(limits::provider_retry_after_most_ms));
  auto doublings = std::min<std::uint32_t>(next > 2 ? next - 2 : 0, 31);
  auto whole =
      std::min<std::uint64_t>(std::uint64_t{options.backoff_first_ms} << doublings, options.backoff_most_ms);
  auto share = 0.5 + 0.5 * std::clamp(random, 0.0, 1.0);
  return milliseconds(static_cast<std::int64_t>(static_cast<double>(whole) * share));
}

} // namespace maru::llm
