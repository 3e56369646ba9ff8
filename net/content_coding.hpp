#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace maru::net {

enum class coding : std::uint8_t { identity, gzip, br };
std::string_view word(coding what); // of Content-Encoding

// The smallest among those that `accept`, an Accept-Encoding ("" none), takes most gladly. Nothing: it takes
// none of what there is; identity is always there.
std::optional<coding> choose_coding(std::string_view accept, bool gzip, bool br);

} // namespace maru::net
