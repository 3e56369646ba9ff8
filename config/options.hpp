#pragma once

// The one place where an option is declared. Reading, the names in the environment, the example file and the
// documentation all come from these tables; defaults come from settings.hpp.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.hpp"

namespace maru::config {

enum class shape : std::uint8_t { text, number, list };

using written = std::variant<std::string, std::int64_t, std::vector<std::string>>; // in the order of `shape`

template <class Owner>
struct option {
  std::string_view key; // "server.listen" for settings, "url" within [[provider]]
  config::shape shape;
  bool secret = false;
  std::string allowed;
  std::string_view help;
  std::function<bool(Owner&, const written&)> put; // false: not allowed, nothing changed
  std::function<written(const Owner&)> get;
};

const std::vector<option<settings>>& plain_options();
const std::vector<option<provider_settings>>& provider_options();
const std::vector<option<agent_settings>>& agent_options();

struct section {
  std::string_view name;
  std::string_view help;
};

const std::vector<section>& sections();

// A value as TOML writes it.
std::string as_toml(const written& value);

std::string environment_name(std::string_view path); // "server.listen" -> "MARU_SERVER_LISTEN"

} // namespace maru::config
