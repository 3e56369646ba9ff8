#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "net/http.hpp"

// What pages of other origins may do: those that [server] cors_origins lists everything that ours may, the
// others nothing.
namespace maru::net {

// What a reply to `origin` ("" none) says to browsers.
void allow_origin(http_reply& to, const config::settings& settings, std::string_view origin);

// The reply to a browser that asks whether it may ask; nothing where it is none, or comes from an origin that
// is not listed. `methods`: those of the address.
std::optional<http_reply> preflight(const config::settings& settings, const http_request& request,
                                    const std::string& methods);

// A browser sent this for a page that is neither ours nor listed.
bool is_foreign(const config::settings& settings, const http_request& request);

} // namespace maru::net
