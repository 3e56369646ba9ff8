#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace maru::config {

// Where to listen: a TCP port on an address of this machine, or a socket file.
struct address {
  std::string host;       // an IP address without brackets, or "localhost"
  std::uint16_t port = 0; // 0: any free one
  std::string path;       // of the socket file; "" for TCP

  [[nodiscard]] bool local_socket() const { return !path.empty(); }
  friend bool operator==(const address&, const address&) = default;
};

inline constexpr std::string_view address_forms =
    "HOST:PORT, [IPV6]:PORT or unix:/PATH, HOST being an IP address or localhost, /PATH absolute and at most "
    "107 bytes";

std::optional<address> parse_address(std::string_view text);

} // namespace maru::config
