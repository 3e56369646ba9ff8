#pragma once

#include <string>

#include "config/settings.hpp"

namespace maru::net {

// What every reply says to browsers, ready to stand in its head: each line begins with its line end.
struct standing_headers {
  std::string api, pages;
};
standing_headers standing_for(const config::settings& settings);

// The address of a WebSocket here as clients reach it, without its path; "" unless public_url says it.
std::string public_socket(const config::settings& settings);

} // namespace maru::net
