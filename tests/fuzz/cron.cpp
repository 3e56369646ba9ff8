#include "base/cron.hpp"

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "tests/fuzz/input.hpp"

// Crontab lines, zones and times of strangers: refused in words, or their turns come one after the other.
namespace maru::fuzz {

void one_input(std::string_view bytes) {
  parts in{bytes};
  const auto now = static_cast<std::int64_t>(in.number(6) % 4'000'000'000'000);
  const auto line = in.rest().substr(0, limits::cron_chars);
  if (const auto at = parse_rfc3339(line))
    holds(parse_rfc3339(rfc3339(*at)) == *at, "a time is read as it is written");
  const auto bar = line.find('|');
  const auto zone = bar == line.npos ? std::string{"Europe/Berlin"} : std::string{line.substr(bar + 1)};
  const auto when = cron::parse(line.substr(0, bar), zone);
  if (!when) {
    holds(static_cast<bool>(when.error()) && !when.error().detail.empty(), "a refusal says why");
    return;
  }
  holds(when->shortest_gap_minutes() >= 1, "no two turns at once");
  auto before = now;
  for (int i = 0; i < 3; ++i) {
    const auto next = when->next(before);
    if (!next) return;
    holds(*next > before, "a turn comes after the one before");
    before = *next;
  }
}

} // namespace maru::fuzz
