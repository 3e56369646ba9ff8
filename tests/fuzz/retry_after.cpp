#include "llm/retry.hpp"

#include <algorithm>

#include "config/limits.hpp"
#include "net/http.hpp"
#include "tests/fuzz/input.hpp"

// Retry-After: whatever it says, the wait is bounded; a number means seconds, a date the time until then.
namespace maru::fuzz {
namespace {

constexpr std::int64_t most = limits::provider_retry_after_most_ms;

std::int64_t wait(std::string_view text, std::int64_t now) {
  return llm::parse_retry_after(text, now).count();
}

void check_number(std::string_view text, std::int64_t now) {
  const auto digits = std::min(text.find_first_not_of('0'), text.size());
  const auto sense = text.substr(digits);
  const auto expected = sense.size() > 5 ? most : sense.empty() ? 0 : std::stoll(std::string{sense}) * 1000;
  holds(wait(text, now) == std::min<std::int64_t>(expected, most), "a number means seconds");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const auto now = static_cast<std::int64_t>(in.number(6) % 253'000'000'000'000);
  const auto text = in.rest();
  const auto got = wait(text, now);
  holds(got >= 0 && got <= most, "a wait is bounded");
  holds(wait(" \t" + std::string{text} + "\t ", now) == got, "blanks around it do not matter");
  if (!text.empty() && text.find_first_not_of("0123456789") == text.npos) check_number(text, now);
  holds(wait(text, now + 1000) <= got || text.find(' ') == text.npos, "a date comes nearer");
  const auto then = now + static_cast<std::int64_t>(bytes.size() % 100) * 1000;
  holds(wait(net::http_date(then), now) == std::clamp<std::int64_t>(then / 1000 * 1000 - now, 0, most),
        "a date of our own is understood");
}

} // namespace maru::fuzz
