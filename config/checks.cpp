#include "config/checks.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "config/address.hpp"
#include "config/values.hpp"

namespace maru::config {
namespace {

template <class Member>
void check_names(std::string_view section, const std::vector<Member>& all, report& problems) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& name = all[i].name;
    if (name.empty()) {
      problems.add(member_path(section, "", i) + ".name", "is missing", "a name of its own for each");
    } else if (!seen.insert(text::folded(name).value_or(name)).second) {
      problems.add(std::string{section} + "[" + std::to_string(i + 1) + "].name",
                   shown(name) + " is taken by one before it",
                   "a name of its own for each; case does not matter");
    }
  }
}

void check_provider(const provider_settings& p, std::size_t index, report& problems) {
  const auto path = member_path("provider", p.name, index);
  if (p.kind.empty()) problems.add(path + ".kind", "is missing", "openai | demo");
  if (p.kind == "openai" && p.url.empty())
    problems.add(path + ".url", "is missing; a provider of kind openai needs it", "http://… or https://…");
  if (p.backoff_first_ms > p.backoff_most_ms)
    problems.add(path + ".backoff_first_ms", "is more than backoff_most_ms",
                 "at most " + std::to_string(p.backoff_most_ms));
  if (p.rest_first_ms > p.rest_most_ms)
    problems.add(path + ".rest_first_ms", "is more than rest_most_ms",
                 "at most " + std::to_string(p.rest_most_ms));
}

std::string names_of(const std::vector<provider_settings>& all) {
  std::string out;
  for (const auto& p : all)
    out += (out.empty() ? "" : ", ") + p.name;
  return out.empty() ? "none is declared" : out;
}

void check_agent(const agent_settings& a, std::size_t index, const settings& all, report& problems) {
  const auto path = member_path("agent", a.name, index);
  bool needs_model = false;
  std::set<std::string_view> seen;
  for (const auto& name : a.providers) {
    const auto found = std::ranges::find(all.providers, name, &provider_settings::name);
    if (found == all.providers.end()) {
      problems.add(path + ".provider", shown(name) + " is not a provider", names_of(all.providers));
    } else if (!seen.insert(name).second) {
      problems.add(path + ".provider", shown(name) + " is listed twice", "each provider once");
    } else {
      needs_model |= found->kind == "openai";
    }
  }
  if (needs_model && a.model.empty())
    problems.add(path + ".model", "is missing", "the model, as its provider names it");
}

void check_supervision(const supervision_settings& s, report& problems) {
  if (s.backoff_first_ms > s.backoff_most_ms)
    problems.add("supervision.backoff_first_ms", "is more than backoff_most_ms",
                 "at most " + std::to_string(s.backoff_most_ms));
  // What rests is not to be taken for stuck, nor is who waits for it.
  if (s.stuck_seconds > 0 && s.backoff_most_ms >= s.stuck_seconds * 1000)
    problems.add("supervision.backoff_most_ms", "is not less than stuck_seconds",
                 "less than " + std::to_string(s.stuck_seconds) + "000, or stuck_seconds = 0");
}

void check_listen(const std::vector<std::string>& all, report& problems) {
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (const auto one = parse_address(all[i]);
          one == parse_address(all[j]) && (one->local_socket() || one->port != 0))
        problems.add("server.listen", shown(all[i]) + " is listed twice", "each address once");
}

} // namespace

void report::add(std::string path, std::string what, std::string allowed) {
  if (std::ranges::find(into_, path, &problem::path) != into_.end()) return;
  into_.push_back({std::move(path), std::move(what), std::move(allowed)});
}

std::string member_path(std::string_view section, std::string_view name, std::size_t index) {
  if (is_agent_name(name)) return std::string{section} + "." + std::string{name};
  return std::string{section} + "[" + std::to_string(index + 1) + "]";
}

void check(settings& all, report& problems) {
  check_listen(all.server.listen, problems);
  check_supervision(all.supervision, problems);
  check_names("provider", all.providers, problems);
  check_names("agent", all.agents, problems);
  for (std::size_t i = 0; i < all.providers.size(); ++i)
    check_provider(all.providers[i], i, problems);
  for (std::size_t i = 0; i < all.agents.size(); ++i) {
    auto& agent = all.agents[i];
    if (agent.providers.empty() && !all.providers.empty()) agent.providers = {all.providers.front().name};
    check_agent(agent, i, all, problems);
  }
  if (!all.providers.empty() && all.agents.empty())
    problems.add("agent", "there is none, though there is a provider", "[[agent]] with a name and a model");
}

} // namespace maru::config
