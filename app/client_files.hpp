#pragma once

#include <span>
#include <string_view>

namespace maru::app {

// The browser client, built into the binary from web/.
struct client_file {
  std::string_view path, bytes;
};

std::span<const client_file> client_files();

} // namespace maru::app
