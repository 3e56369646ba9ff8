#include "config/load.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <toml++/toml.h>
#include <unistd.h>

#include "base/text.hpp"
#include "config/checks.hpp"
#include "config/options.hpp"
#include "config/report.hpp"
#include "config/values.hpp"

namespace maru::config {
namespace {

// Puts written values where they belong and reports those that do not fit.
class reader {
public:
  reader(loaded& into, const environment& env) : value_(into.value), report_(into.problems), env_(env) {}

  void take_file(const toml::table& root);
  void take_environment();
  void refuse_unknown_variables();
  void take_set(const std::string& assignment);
  void finish() { check(value_, report_); }
  report& problems() { return report_; }

private:
  void take_section(std::string_view name, const toml::node& node);
  template <class Owner>
  void take_tables(std::string_view name, const toml::node& node, std::vector<Owner>& into,
                   const std::vector<option<Owner>>& known);
  template <class Owner>
  void take_member(const std::string& path, const toml::table& from, Owner& into,
                   const std::vector<option<Owner>>& known);
  template <class Owner>
  void take_first_from_environment(std::string_view name, std::vector<Owner>& into,
                                   const std::vector<option<Owner>>& known);
  template <class Owner>
  void set_member(std::string_view section, std::string_view rest, std::string_view text,
                  std::vector<Owner>& into, const std::vector<option<Owner>>& known);

  template <class Owner>
  void put_node(const std::string& path, const toml::node& node, Owner& into, const option<Owner>& as);
  template <class Owner>
  void put_text(const std::string& path, std::string_view text, bool expands, Owner& into,
                const option<Owner>& as);
  template <class Owner>
  void put(const std::string& path, written value, const std::string& as_written, bool expands, Owner& into,
           const option<Owner>& as);
  bool expand(const std::string& path, written& value);
  std::optional<std::string> expand(const std::string& path, const std::string& text);
  template <class Known>
  void unknown(const std::string& prefix, std::string_view key, const Known& known);

  settings& value_;
  report report_;
  const environment& env_;
};

template <class Owner>
const option<Owner>* find(const std::vector<option<Owner>>& all, std::string_view key) {
  const auto it = std::ranges::find(all, key, &option<Owner>::key);
  return it == all.end() ? nullptr : &*it;
}

template <class Owner>
std::vector<std::string_view> keys(const std::vector<option<Owner>>& all) {
  std::vector<std::string_view> out;
  std::ranges::transform(all, std::back_inserter(out), &option<Owner>::key);
  return out;
}

std::string_view trimmed(std::string_view s) {
  constexpr std::string_view blank = " \t";
  const auto begin = s.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return s.substr(begin, s.find_last_not_of(blank) - begin + 1);
}

std::optional<written> from_text(std::string_view text, shape as) {
  if (as == shape::text) return written{std::string{text}};
  if (as == shape::number) {
    std::int64_t n = 0;
    text = trimmed(text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return written{n};
  }
  std::vector<std::string> out;
  while (!trimmed(text).empty()) {
    const auto comma = std::min(text.find(','), text.size());
    out.emplace_back(trimmed(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return written{std::move(out)};
}

std::optional<written> from_node(const toml::node& node, shape as) {
  if (as == shape::number) {
    if (const auto* n = node.as_integer()) return written{n->get()};
    return std::nullopt;
  }
  const auto* one = node.as_string();
  if (as == shape::text) return one ? std::optional{written{one->get()}} : std::nullopt;
  if (one) return written{std::vector{one->get()}};
  const auto* many = node.as_array();
  if (!many) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& each : *many) {
    const auto* s = each.as_string();
    if (!s) return std::nullopt;
    out.push_back(s->get());
  }
  return written{std::move(out)};
}

std::string as_written(const toml::node& node) {
  if (const auto* s = node.as_string()) return s->get();
  std::ostringstream out;
  node.visit([&](const auto& n) { out << n; });
  return out.str();
}

std::optional<std::string> contents(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in.is_open()) return std::nullopt;
  std::string out;
  std::array<char, 4096> block{};
  while (in.read(block.data(), block.size()) || in.gcount() > 0)
    out.append(block.data(), static_cast<std::size_t>(in.gcount()));
  return in.bad() ? std::nullopt : std::optional{std::move(out)};
}

void reader::take_file(const toml::table& root) {
  for (const auto& [key, node] : root) {
    const std::string_view name = key.str();
    if (name == "provider") {
      take_tables(name, node, value_.providers, provider_options());
    } else if (name == "agent") {
      take_tables(name, node, value_.agents, agent_options());
    } else if (std::ranges::find(sections(), name, &section::name) != sections().end()) {
      take_section(name, node);
    } else {
      std::vector<std::string_view> known{"provider", "agent"};
      std::ranges::transform(sections(), std::back_inserter(known), &section::name);
      unknown("", name, known);
    }
  }
}

void reader::take_section(std::string_view name, const toml::node& node) {
  const auto* table = node.as_table();
  const std::string prefix{name};
  if (!table) {
    report_.add(prefix, "is not a section", "[" + prefix + "], with its keys on the lines below");
    return;
  }
  for (const auto& [key, value] : *table) {
    const auto path = prefix + "." + std::string{key.str()};
    if (const auto* as = find(plain_options(), path)) {
      put_node(path, value, value_, *as);
    } else {
      unknown("", path, keys(plain_options()));
    }
  }
}

template <class Owner>
void reader::take_tables(std::string_view name, const toml::node& node, std::vector<Owner>& into,
                         const std::vector<option<Owner>>& known) {
  const std::string prefix{name};
  const auto* many = node.as_array();
  if (!many || !std::ranges::all_of(*many, [](const toml::node& n) { return n.is_table(); })) {
    report_.add(prefix, "is not a list of tables", "[[" + prefix + "]], once for each");
    return;
  }
  for (const auto& each : *many) {
    const auto& table = *each.as_table();
    const auto called = table["name"].value<std::string>().value_or("");
    const auto path = member_path(name, called, into.size());
    take_member(path, table, into.emplace_back(), known);
  }
}

template <class Owner>
void reader::take_member(const std::string& path, const toml::table& from, Owner& into,
                         const std::vector<option<Owner>>& known) {
  for (const auto& [key, value] : from) {
    if (const auto* as = find(known, key.str())) {
      put_node(path + "." + std::string{key.str()}, value, into, *as);
    } else {
      unknown(path + ".", key.str(), keys(known));
    }
  }
}

void reader::take_environment() {
  for (const auto& as : plain_options()) {
    const auto name = environment_name(as.key);
    if (const auto it = env_.find(name); it != env_.end()) put_text(name, it->second, false, value_, as);
  }
  take_first_from_environment("provider", value_.providers, provider_options());
  take_first_from_environment("agent", value_.agents, agent_options());
  refuse_unknown_variables();
}

// Others may begin with MARU_ too; what begins like the variables of a section is meant for it.
void reader::refuse_unknown_variables() {
  std::vector<std::string_view> names;
  std::set<std::string, std::less<>> sections;
  for (const auto& o : options()) {
    names.emplace_back(o.environment);
    sections.insert(environment_name(o.path.substr(0, o.path.find('.') + 1)));
  }
  for (auto it = env_.lower_bound("MARU_"); it != env_.end() && it->first.starts_with("MARU_"); ++it)
    if (std::ranges::find(names, it->first) == names.end() &&
        std::ranges::any_of(sections, [&](const auto& s) { return it->first.starts_with(s); }))
      unknown("", it->first, names);
}

template <class Owner>
void reader::take_first_from_environment(std::string_view name, std::vector<Owner>& into,
                                         const std::vector<option<Owner>>& known) {
  for (const auto& as : known) {
    const auto variable = environment_name(std::string{name} + "." + std::string{as.key});
    const auto it = env_.find(variable);
    if (it == env_.end()) continue;
    if (into.empty()) into.emplace_back();
    put_text(variable, it->second, false, into.front(), as);
  }
}

void reader::take_set(const std::string& assignment) {
  const auto equals = assignment.find('=');
  const auto path = assignment.substr(0, equals);
  const auto dot = path.find('.');
  if (equals == std::string::npos || dot == std::string::npos) {
    // What was given is not repeated: it may be a key that lost its name.
    report_.add("--set", "is not an assignment", "--set SECTION.KEY=VALUE");
    return;
  }
  const auto text = std::string_view{assignment}.substr(equals + 1);
  const auto section = std::string_view{path}.substr(0, dot);
  const auto rest = std::string_view{path}.substr(dot + 1);
  if (section == "provider") {
    set_member(section, rest, text, value_.providers, provider_options());
  } else if (section == "agent") {
    set_member(section, rest, text, value_.agents, agent_options());
  } else if (const auto* as = find(plain_options(), path)) {
    put_text(path, text, true, value_, *as);
  } else {
    unknown("", path, keys(plain_options()));
  }
}

// `KEY` is of the first one, `NAME.KEY` of the one with this name; it is made when it is missing.
template <class Owner>
void reader::set_member(std::string_view section, std::string_view rest, std::string_view text,
                        std::vector<Owner>& into, const std::vector<option<Owner>>& known) {
  const auto dot = rest.rfind('.');
  const auto key = dot == std::string_view::npos ? rest : rest.substr(dot + 1);
  const auto path = std::string{section} + "." + std::string{rest};
  const auto* as = find(known, key);
  if (!as) {
    unknown(path.substr(0, path.size() - key.size()), key, keys(known));
    return;
  }
  auto owner = into.begin();
  if (dot != std::string_view::npos) {
    const std::string name{rest.substr(0, dot)};
    owner = std::ranges::find(into, name, &Owner::name);
    if (owner == into.end()) {
      owner = into.emplace(into.end());
      put_text(std::string{section} + "." + name + ".name", name, false, *owner, known.front());
    }
  } else if (into.empty()) {
    owner = into.emplace(into.end());
  }
  put_text(path, text, true, *owner, *as);
}

template <class Owner>
void reader::put_node(const std::string& path, const toml::node& node, Owner& into, const option<Owner>& as) {
  auto value = from_node(node, as.shape);
  const auto written_as = as_written(node);
  if (value) {
    put(path, std::move(*value), written_as, true, into, as);
  } else {
    report_.add(path, (as.secret ? "its value" : shown(written_as)) + " is not allowed", as.allowed);
  }
}

template <class Owner>
void reader::put_text(const std::string& path, std::string_view text, bool expands, Owner& into,
                      const option<Owner>& as) {
  auto value = text::acceptable(text) ? from_text(text, as.shape) : std::nullopt;
  if (value) {
    put(path, std::move(*value), std::string{text}, expands, into, as);
  } else {
    report_.add(path, (as.secret ? "its value" : shown(text)) + " is not allowed", as.allowed);
  }
}

template <class Owner>
void reader::put(const std::string& path, written value, const std::string& as_written, bool expands,
                 Owner& into, const option<Owner>& as) {
  if (expands && !expand(path, value)) return;
  if (!as.put(into, value))
    report_.add(path, (as.secret ? "its value" : shown(as_written)) + " is not allowed", as.allowed);
}

bool reader::expand(const std::string& path, written& value) {
  const auto in_place = [&](std::string& s) {
    auto whole = expand(path, s);
    if (whole) s = std::move(*whole);
    return whole.has_value();
  };
  if (auto* s = std::get_if<std::string>(&value)) return in_place(*s);
  if (auto* all = std::get_if<std::vector<std::string>>(&value))
    return std::ranges::count_if(*all, [&](std::string& s) { return !in_place(s); }) == 0;
  return true;
}

// ${NAME} is what the environment says; $${ is ${ itself.
std::optional<std::string> reader::expand(const std::string& path, const std::string& text) {
  std::string out;
  bool whole = true;
  std::size_t at = 0;
  while (true) {
    const auto begin = text.find("${", at);
    if (begin == std::string::npos) break;
    if (begin > at && text[begin - 1] == '$') {
      out += text.substr(at, begin - at - 1) + "${";
      at = begin + 2;
      continue;
    }
    const auto end = text.find('}', begin);
    if (end == std::string::npos) {
      report_.add(path, "has a ${ without its }", "${VARIABLE}, or $${ for ${ itself");
      return std::nullopt;
    }
    const auto name = text.substr(begin + 2, end - begin - 2);
    const auto found = env_.find(name);
    if (found == env_.end()) {
      report_.add(path, "needs the environment variable " + name + ", which is not set", "");
      whole = false;
    } else if (!text::acceptable(found->second)) {
      report_.add(path, "needs the environment variable " + name + ", which is not UTF-8", "");
      whole = false;
    }
    out += text.substr(at, begin - at);
    if (whole) out += found->second;
    at = end + 1;
  }
  if (!whole) return std::nullopt;
  return out + text.substr(at);
}

template <class Known>
void reader::unknown(const std::string& prefix, std::string_view key, const Known& known) {
  const auto meant = nearest(key, known);
  const auto hint = meant.empty() ? std::string{} : "; did you mean " + prefix + std::string{meant} + "?";
  report_.add(prefix + std::string{key}, "is not an option" + hint, "");
}

} // namespace

std::string problem::str() const {
  return path + ": " + what + (allowed.empty() ? "" : "; allowed: " + allowed);
}

environment process_environment() {
  environment all;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view variable{*each};
    const auto equals = variable.find('=');
    if (equals != std::string_view::npos)
      all.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return all;
}

loaded load_text(std::string_view toml, const std::string& name, const environment& env,
                 const std::vector<std::string>& sets) {
  loaded out;
  reader into{out, env};
  try {
    into.take_file(toml::parse(toml, name));
  } catch (const toml::parse_error& e) {
    const auto at = e.source().begin;
    into.problems().add(name + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                        std::string{e.description()}, "");
    return out; // what could not be read would be reported as missing
  }
  into.take_environment();
  for (const auto& assignment : sets)
    into.take_set(assignment);
  into.finish();
  return out;
}

loaded load(const std::optional<std::filesystem::path>& file, const environment& env,
            const std::vector<std::string>& sets) {
  const auto text = file ? contents(*file) : std::optional{std::string{}};
  if (!text) {
    loaded out;
    out.problems.push_back({file->string(), "cannot be read", "a file in TOML"});
    return out;
  }
  return load_text(*text, file ? file->string() : "", env, sets);
}

} // namespace maru::config
