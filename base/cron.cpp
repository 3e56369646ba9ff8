#include "base/cron.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <date/tz.h>

namespace maru {
namespace {

constexpr int days_ahead = 9 * 366; // the 29th of February may be eight years away

struct field {
  std::string_view name;
  unsigned least = 0, most = 0;
  std::string_view words; // of three letters each, from `least` on
};

constexpr std::array<field, 5> fields_of_cron{{{"minute", 0, 59, ""},
                                               {"hour", 0, 23, ""},
                                               {"day of month", 1, 31, ""},
                                               {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
                                               {"day of week", 0, 7, "sunmontuewedthufrisat"}}};

std::string_view take(std::string_view& from, char until) {
  const auto at = from.find(until);
  const auto out = from.substr(0, at);
  from.remove_prefix(at == std::string_view::npos ? from.size() : at + 1);
  return out;
}

std::optional<unsigned> number(std::string_view text) {
  unsigned out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::optional<unsigned> value(std::string_view text, const field& of) {
  constexpr std::size_t letters = 3;
  if (text.size() == letters) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    for (std::size_t at = 0; at < of.words.size(); at += letters)
      if (of.words.substr(at, letters) == lower) return of.least + static_cast<unsigned>(at / letters);
  }
  const auto out = number(text);
  return out && *out >= of.least && *out <= of.most ? out : std::nullopt;
}

// `*`, `a`, `a-b`, each with `/step`; into `to`, by value.
bool take_range(std::string_view text, const field& of, std::bitset<60>& to) {
  const bool stepped = text.find('/') != std::string_view::npos;
  auto range = take(text, '/');
  const auto step = stepped ? number(text) : 1U;
  if (!step || *step == 0) return false;
  auto least = of.least, most = of.most;
  if (range != "*") {
    const bool open = range.find('-') == std::string_view::npos;
    const auto first = value(take(range, '-'), of);
    const auto last = open ? (stepped ? std::optional(of.most) : first) : value(range, of);
    if (!first || !last || *first > *last) return false;
    least = *first;
    most = *last;
  }
  for (std::uint64_t at = least; at <= most; at += *step)
    to.set(at);
  return true;
}

refusal wrong(const std::string& what) { return {code::invalid_field, "cron: " + what}; }

refusal wrong(std::string_view text, const field& of) {
  std::string out = "\"";
  return wrong(out.append(text).append("\" is no ").append(of.name));
}

result<std::bitset<60>> parse_field(std::string_view text, const field& of) {
  std::bitset<60> out;
  auto rest = text;
  do
    if (!take_range(take(rest, ','), of, out)) return wrong(text, of);
  while (!rest.empty());
  if (text.ends_with(',')) return wrong(text, of);
  return out;
}

template <std::size_t N>
void put(const std::bitset<60>& from, std::bitset<N>& to) {
  for (std::size_t i = 0; i < N && i < from.size(); ++i)
    to[i] = from[i];
}

// "localtime" is there on some machines, and means another zone on each.
const date::time_zone* zone_named(const std::string& name) {
  if (name == "localtime") return nullptr;
  try {
    return date::locate_zone(name);
  } catch (const std::runtime_error&) {
    return nullptr;
  }
}

using moment = date::sys_time<std::chrono::milliseconds>;

} // namespace

result<cron> cron::parse(std::string_view fields, const std::string& zone) {
  std::array<std::bitset<60>, fields_of_cron.size()> sets;
  std::array<std::string_view, fields_of_cron.size()> texts;
  std::size_t count = 0;
  while (!fields.empty()) {
    const auto word = take(fields, ' ');
    if (word.empty()) continue;
    if (count == texts.size()) return wrong("five fields are wanted: minute hour day month weekday");
    texts.at(count++) = word;
  }
  if (count != texts.size()) return wrong("five fields are wanted: minute hour day month weekday");
  for (std::size_t i = 0; i < count; ++i) {
    auto set = parse_field(texts.at(i), fields_of_cron.at(i));
    if (!set) return set.error();
    sets.at(i) = *set;
  }
  cron out;
  put(sets[0], out.minutes_);
  put(sets[1], out.hours_);
  put(sets[2], out.days_);
  put(sets[3], out.months_);
  put(sets[4], out.weekdays_);
  if (sets[4][7]) out.weekdays_.set(0);
  out.every_hour_ = out.hours_.all();
  out.any_day_ = texts[2].starts_with('*');
  out.any_weekday_ = texts[4].starts_with('*');
  out.zone_ = zone_named(zone);
  if (out.zone_ == nullptr)
    return refusal{code::invalid_field, "zone: \"" + zone + "\" is no time zone; write it as \"Asia/Seoul\""};
  return out;
}

bool cron::on_day(unsigned month, unsigned day, unsigned weekday) const {
  if (!months_[month]) return false;
  if (any_day_ || any_weekday_) return days_[day] && weekdays_[weekday];
  return days_[day] || weekdays_[weekday];
}

std::uint32_t cron::shortest_gap_minutes() const {
  constexpr std::uint32_t day = 24 * 60;
  std::optional<std::uint32_t> first, last;
  auto shortest = day;
  for (std::uint32_t at = 0; at < day; ++at) {
    if (!hours_[at / 60] || !minutes_[at % 60]) continue;
    if (last) shortest = std::min(shortest, at - *last);
    if (!first) first = at;
    last = at;
  }
  return first ? std::min(shortest, day - *last + *first) : day;
}

std::optional<std::int64_t> cron::next(std::int64_t after_ms) const {
  const moment after{std::chrono::milliseconds{after_ms}};
  auto day = date::floor<date::days>(zone_->to_local(after));
  for (int i = 0; i <= days_ahead; ++i, day += date::days{1}) {
    const date::year_month_day on{day};
    if (!on_day(unsigned(on.month()), unsigned(on.day()), date::weekday{day}.c_encoding())) continue;
    std::optional<moment> first;
    const auto offer = [&](moment at) {
      if (at > after && (!first || at < *first)) first = at;
    };
    for (unsigned hour = 0; hour < hours_.size(); ++hour)
      for (unsigned minute = 0; hours_[hour] && minute < minutes_.size(); ++minute) {
        if (!minutes_[minute]) continue;
        const auto local = day + std::chrono::hours{hour} + std::chrono::minutes{minute};
        const auto info = zone_->get_info(local);
        if (info.result == date::local_info::nonexistent) {
          if (!every_hour_) offer(info.first.end);
          continue;
        }
        offer(moment{local.time_since_epoch() - info.first.offset});
        if (info.result == date::local_info::ambiguous && every_hour_)
          offer(moment{local.time_since_epoch() - info.second.offset});
      }
    if (first) return first->time_since_epoch().count();
  }
  return std::nullopt;
}

} // namespace maru
