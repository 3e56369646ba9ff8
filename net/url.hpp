#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maru::net {

struct target {
  std::string path; // decoded, begins with "/", without dot segments
  std::vector<std::pair<std::string, std::string>> query;

  [[nodiscard]] const std::string* find(std::string_view name) const;
};

// Nothing when it is malformed or tries to leave its folder, in whatever encoding.
std::optional<target> parse_target(std::string_view text);

} // namespace maru::net
