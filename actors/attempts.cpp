#include "actors/attempts.hpp"

#include <nlohmann/json.hpp>

namespace maru::actors {
namespace {

using json = nlohmann::json;

template <class Number>
Number number_in(const json& from, const char* name) {
  const auto at = from.find(name);
  return at != from.end() && at->is_number_unsigned() ? at->get<Number>() : Number{};
}

std::string text_in(const json& from, const char* name) {
  const auto at = from.find(name);
  return at != from.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

} // namespace

std::string line_of_cost(const attempt_cost& what) {
  const json line{{"attempt", what.attempt},
                  {"provider", what.provider},
                  {"how", what.how},
                  {"at", static_cast<std::uint64_t>(what.at)},
                  {"ms", static_cast<std::uint64_t>(std::max<std::int64_t>(0, what.ms))},
                  {"prompt_tokens", what.prompt_tokens},
                  {"completion_tokens", what.completion_tokens},
                  {"estimated", what.estimated}};
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

std::vector<attempt_cost> attempts_in(std::string_view lines) {
  std::vector<attempt_cost> all;
  for (auto end = lines.find('\n'); end != lines.npos; end = lines.find('\n')) {
    const auto j = json::parse(lines.substr(0, end), nullptr, false);
    lines.remove_prefix(end + 1);
    if (!j.is_object()) continue;
    const auto flag = j.find("estimated");
    all.push_back({number_in<std::uint32_t>(j, "attempt"), text_in(j, "provider"), text_in(j, "how"),
                   number_in<std::int64_t>(j, "at"), number_in<std::int64_t>(j, "ms"),
                   number_in<std::uint64_t>(j, "prompt_tokens"),
                   number_in<std::uint64_t>(j, "completion_tokens"),
                   flag == j.end() || !flag->is_boolean() || flag->get<bool>()});
  }
  return all;
}

} // namespace maru::actors
