#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace maru::llm {

// Where a provider is: http or https, a host, a port, a base path without a slash at its end.
struct base_url {
  bool tls = false;
  std::string host; // an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string path; // "" or "/v1"

  [[nodiscard]] std::string host_header() const;
};

// Nothing for what is not such a URL: other schemes, user names, queries, fragments, spaces, controls.
std::optional<base_url> parse_url(std::string_view text);

} // namespace maru::llm
