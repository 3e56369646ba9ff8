#pragma once

#include <optional>
#include <string_view>

#include "net/assets.hpp"
#include "net/http.hpp"

namespace maru::net {

// A file of the browser client, or 404. Nothing: it is there, and the method is none for files.
std::optional<http_reply> static_file(const asset_lookup& in, const http_request& request,
                                      std::string_view path);

} // namespace maru::net
