#include "config/load.hpp"

#include <algorithm>
#include <cstdio>

#include "config/address.hpp"
#include "config/options.hpp"
#include "tests/fuzz/input.hpp"

// A configuration: TOML, then after a line `#env` lines of NAME=VALUE, after `#set` assignments. It loads the
// same each time; what is wrong has a path; what loads is within its bounds, and loads again when it is
// written down.
namespace maru::fuzz {
namespace {

constexpr std::string_view secret = "s3cr3t-0f-the-env1r0nment";

struct given {
  std::string toml;
  config::environment env{{"FUZZ_SECRET", std::string{secret}}};
  std::vector<std::string> sets;
  bool may_be_told = false;
};

given taken_apart(std::string_view bytes) {
  given out;
  out.may_be_told = bytes.find("name") != bytes.npos || bytes.find(secret) != bytes.npos;
  parts in{bytes};
  std::string_view where;
  while (!in.empty()) {
    const auto line = in.line();
    if (line == "#env" || line == "#set")
      where = line;
    else if (where.empty())
      out.toml.append(line).append("\n");
    else if (where == "#set")
      out.sets.emplace_back(line);
    else if (const auto equals = line.find('='); equals != line.npos)
      out.env.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return out;
}

template <class Owner>
void write(std::string& to, const Owner& from, const std::vector<config::option<Owner>>& all) {
  for (const auto& one : all)
    to.append(one.key).append(" = ").append(config::as_toml(one.get(from))).append("\n");
}

std::string written(const config::settings& what) {
  std::string out;
  write(out, what, config::plain_options());
  for (const auto& one : what.providers)
    write(out.append("[[provider]]\n"), one, config::provider_options());
  for (const auto& one : what.agents)
    write(out.append("[[agent]]\n"), one, config::agent_options());
  return out;
}

// What was put as ${NAME} is there as its value: as a text it would be put in once more.
std::string quoted(std::string text) {
  for (auto at = text.find("${"); at != text.npos; at = text.find("${", at + 3))
    text.insert(at, "$");
  return text;
}

void check_problem(const config::problem& what, const given& from) {
  holds(!what.path.empty() && !what.what.empty(), "a problem has a path and says what is wrong");
  // A name is told, and what was written out is no secret.
  if (from.may_be_told) return;
  holds(what.str().find(secret) == std::string::npos, "no problem tells a value of the environment");
}

void check_loaded(const config::settings& what) {
  for (const auto& address : what.server.listen)
    holds(config::parse_address(address).has_value(), "an address can be read");
  for (const auto& agent : what.agents)
    for (const auto& name : agent.providers)
      holds(std::ranges::count(what.providers, name, &config::provider_settings::name) == 1,
            "a provider is there");
  holds(what.providers.empty() || !what.agents.empty(), "a provider has an agent");
  const auto text = quoted(written(what));
  const auto again = config::load_text(text, "again", {}, {});
  for (const auto& problem : again.problems)
    std::fprintf(stderr, "%s\n", problem.str().c_str());
  holds(static_cast<bool>(again), "what was loaded can be written and loaded");
  holds(quoted(written(again.value)) == text, "and is the same");
}

} // namespace

void one_input(std::string_view bytes) {
  const auto from = taken_apart(bytes);
  const auto first = config::load_text(from.toml, "maru.toml", from.env, from.sets);
  const auto second = config::load_text(from.toml, "maru.toml", from.env, from.sets);
  holds(std::ranges::equal(first.problems, second.problems, {}, &config::problem::str, &config::problem::str),
        "it has the same problems each time");
  holds(written(first.value) == written(second.value), "and the same values");
  for (const auto& problem : first.problems)
    check_problem(problem, from);
  if (first) check_loaded(first.value);
}

} // namespace maru::fuzz
