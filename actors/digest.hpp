#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maru::actors {

// 32 bytes over the parts, each with its length, so that no two lists of parts look alike.
std::string digest(const std::vector<std::string_view>& parts);

} // namespace maru::actors
