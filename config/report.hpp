#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace maru::config {

// Collects problems; the first one of a path is the one that explains it.
class report {
public:
  explicit report(std::vector<problem>& into) : into_(into) {}
  void add(std::string path, std::string what, std::string allowed);

private:
  std::vector<problem>& into_;
};

// "provider.local", or "provider[2]" where there is no usable name; `index` counts from 0.
std::string member_path(std::string_view section, std::string_view name, std::size_t index);

} // namespace maru::config
