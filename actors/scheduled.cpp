#include "actors/scheduled.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/cron.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

using json = nlohmann::json;

template <class T>
bool take(const json& from, const char* name, T& to) {
  const auto at = from.find(name);
  if (at == from.end()) return true;
  try {
    at->get_to(to);
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

refusal wrong(std::string what) { return {code::invalid_field, std::move(what)}; }

refusal too_far(const std::string& name) {
  return wrong(name + ": more than " + std::to_string(limits::scheduled_ahead_ms / limits::day_ms) +
               " days ahead");
}

} // namespace

std::string to_json(const scheduled& what) {
  json out{{"text", what.text}, {"due", what.due}};
  if (!what.ask_room) out["agents"] = what.agents;
  if (!what.cron.empty()) {
    out["cron"] = what.cron;
    out["zone"] = what.zone;
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<scheduled> scheduled_of(const std::string& body) {
  const auto from = json::parse(body, nullptr, false);
  scheduled out;
  if (!from.is_object() || !from.contains("text") || !from.contains("due")) return std::nullopt;
  out.ask_room = !from.contains("agents");
  const bool good = take(from, "text", out.text) && take(from, "due", out.due) &&
                    take(from, "agents", out.agents) && take(from, "cron", out.cron) &&
                    take(from, "zone", out.zone);
  return good ? std::optional(std::move(out)) : std::nullopt;
}

result<std::int64_t> first_turn(const schedule_message& what, std::int64_t now) {
  if (what.at != 0) {
    if (what.at < now - limits::scheduled_late_ms) return wrong("at: is over");
    if (what.at > now + limits::scheduled_ahead_ms) return too_far("at");
    return what.at;
  }
  const auto when = cron::parse(what.cron, what.zone);
  if (!when) return when.error();
  if (when->shortest_gap_minutes() < limits::scheduled_gap_minutes)
    return wrong("cron: at most once in " + std::to_string(limits::scheduled_gap_minutes) + " minutes");
  const auto first = when->next(now);
  if (!first) return wrong("cron: this never happens");
  if (*first > now + limits::scheduled_ahead_ms) return too_far("cron");
  return *first;
}

std::optional<std::int64_t> next_turn(const scheduled& what, std::int64_t now) {
  if (what.cron.empty()) return std::nullopt;
  const auto when = cron::parse(what.cron, what.zone);
  return when ? when->next(std::max(now, what.due)) : std::nullopt;
}

} // namespace maru::actors
