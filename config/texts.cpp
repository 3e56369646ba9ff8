#include <algorithm>

#include "config/load.hpp"
#include "config/options.hpp"

namespace maru::config {
namespace {

template <class Owner>
void describe(std::vector<described>& out, std::string_view prefix, const std::vector<option<Owner>>& all) {
  const Owner defaults;
  for (const auto& o : all) {
    auto path = std::string{prefix} + std::string{o.key};
    auto variable = environment_name(path);
    out.push_back(
        {std::move(path), std::move(variable), as_toml(o.get(defaults)), o.allowed, std::string{o.help}});
  }
}

std::string_view last_word(std::string_view path) { return path.substr(path.rfind('.') + 1); }

bool within(const described& o, std::string_view section) {
  return std::string_view{o.path}.substr(0, o.path.find('.')) == section;
}

// Two complete tables that load once the `#` in front is taken away.
constexpr std::string_view example_members = R"(
# Without a provider the server looks for a model by itself: OPENAI_API_KEY in the environment, then an Ollama on this
# machine, else the built-in demonstration. To name one, take the single # off the lines below.

#[[provider]]
#name = "local"
#kind = "openai"
#url = "http://127.0.0.1:8000/v1"
#api_key = ""                   # "${OPENAI_API_KEY}" takes it from the environment
)";

constexpr std::string_view example_agent = R"(
#[[agent]]
#name = "maru"                  # the first agent is the one a new room gets
#provider = "local"             # or a list, in order of preference
#model = "any-model"
)";

// The keys of a table that the text above leaves at their defaults.
void append_defaults(std::string& out, std::string_view section,
                     std::initializer_list<std::string_view> written) {
  for (const auto& o : options()) {
    const auto key = last_word(o.path);
    if (!within(o, section) || std::ranges::find(written, key) != written.end()) continue;
    out += "## " + o.help + " Allowed: " + o.allowed + ".\n#" + std::string{key} + " = " + o.default_value +
           "\n";
  }
}

std::string escaped(std::string_view s) {
  std::string out;
  for (const char c : s)
    out += c == '|' ? std::string{"\\|"} : std::string{c};
  return out;
}

void append_rows(std::string& out, std::string_view section) {
  out += "\n| Key | Default | Allowed | Meaning |\n|---|---|---|---|\n";
  for (const auto& o : options())
    if (within(o, section))
      out += "| `" + std::string{last_word(o.path)} + "` | `" + o.default_value + "` | " +
             escaped(o.allowed) + " | " + escaped(o.help) + " |\n";
}

} // namespace

const std::vector<described>& options() {
  static const auto all = [] {
    std::vector<described> out;
    describe(out, "", plain_options());
    describe(out, "provider.", provider_options());
    describe(out, "agent.", agent_options());
    return out;
  }();
  return all;
}

std::string example() {
  std::string out =
      "# Every option of maru with its default. Made from config/options.cpp by the target `texts`.\n";
  for (const auto& s : sections()) {
    out += "\n# " + std::string{s.help} + "\n[" + std::string{s.name} + "]\n";
    for (const auto& o : options()) {
      if (!within(o, s.name)) continue;
      out += "# " + o.help + " Allowed: " + o.allowed + ".\n";
      out += std::string{last_word(o.path)} + " = " + o.default_value + "\n";
    }
  }
  out += example_members;
  append_defaults(out, "provider", {"name", "kind", "url", "api_key"});
  out += example_agent;
  append_defaults(out, "agent", {"name", "provider", "model"});
  return out;
}

std::string reference() {
  std::string out = R"(# Configuration

<!-- Made from config/options.cpp by the target `texts`. -->

maru needs no configuration. What it is given is read in this order, the later wins: the file of `--config FILE` (TOML),
the environment, `--set SECTION.KEY=VALUE`. `maru config example` prints a file with every option, `maru config check`
says what is wrong with yours. An unknown key or a value that is not allowed is an error, and the server does not start.

- In the environment `server.listen` is `MARU_SERVER_LISTEN`, and so on for every key. Lists are separated by commas.
  `MARU_PROVIDER_…` and `MARU_AGENT_…` are of the first provider and the first agent; without one they make it.
- `--set provider.KEY=…` and `--set agent.KEY=…` are of the first one, too; `--set provider.NAME.KEY=…` of the one with
  that name, which is made when it is missing.
- `${VARIABLE}` within a string of the file or of `--set` is replaced from the environment; a variable that is not set
  is an error. `$${` stands for `${` itself.
)";
  for (const auto& s : sections()) {
    out += "\n## [" + std::string{s.name} + "]\n\n" + std::string{s.help} + "\n";
    append_rows(out, s.name);
  }
  out +=
      "\n## [[provider]]\n\nOne for each model server. Without any the server looks for a model by itself.\n";
  append_rows(out, "provider");
  out += "\n## [[agent]]\n\nOne for each agent that people can talk to.\n";
  append_rows(out, "agent");
  return out;
}

} // namespace maru::config
