#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"

namespace maru::config {

// One thing wrong with what the operator wrote. Never holds a secret.
struct problem {
  std::string path; // "server.listen", "provider.local.url", "MARU_SERVER_LISTEN", "maru.toml:3:7"
  std::string what;
  std::string allowed; // "" where there is no list of it

  [[nodiscard]] std::string str() const;
};

struct loaded {
  settings value;
  std::vector<problem> problems; // all of them; with any, `value` is not to be used

  explicit operator bool() const { return problems.empty(); }
};

using environment = std::map<std::string, std::string, std::less<>>;

environment process_environment();

// Defaults, then the file, then MARU_SECTION_KEY, then `--set` in their order; the later wins. A variable
// that begins like those of a section and names no option is a problem, as an unknown key is.
loaded load(const std::optional<std::filesystem::path>& file, const environment& env,
            const std::vector<std::string>& sets);

// The same for a text that is already read; `name` is what problems call it.
loaded load_text(std::string_view toml, const std::string& name, const environment& env,
                 const std::vector<std::string>& sets);

// One option, for helps and tables.
struct described {
  std::string path;          // "server.listen"; "provider.url" for a key of [[provider]]
  std::string environment;   // "MARU_SERVER_LISTEN"
  std::string default_value; // as TOML
  std::string allowed;
  std::string help;
};

const std::vector<described>& options();

// The shipped example file: every option with its default. It loads as it is.
std::string example();

// docs/configuration.md.
std::string reference();

} // namespace maru::config
