#include "config/address.hpp"

#include <charconv>

#include <arpa/inet.h>
#include <sys/un.h>

namespace maru::config {
namespace {

bool is_ip(int family, const std::string& text) {
  unsigned char room[sizeof(in6_addr)];
  return inet_pton(family, text.c_str(), room) == 1;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::optional<address> parse_socket(std::string_view path) {
  constexpr auto room = sizeof(sockaddr_un::sun_path) - 1; // the kernel's bound, without the closing NUL
  static_assert(room == 107, "address_forms says so");
  if (path.size() < 2 || path.front() != '/' || path.size() > room) return std::nullopt;
  if (path.find('\0') != std::string_view::npos) return std::nullopt;
  return address{{}, 0, std::string{path}};
}

} // namespace

std::optional<address> parse_address(std::string_view text) {
  constexpr std::string_view socket = "unix:";
  if (text.starts_with(socket)) return parse_socket(text.substr(socket.size()));

  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;

  std::string host{text.substr(0, colon)};
  if (host.find('\0') != std::string::npos) return std::nullopt;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!is_ip(AF_INET6, host)) return std::nullopt;
  } else if (host != "localhost" && !is_ip(AF_INET, host)) {
    return std::nullopt;
  }
  return address{std::move(host), *port, {}};
}

} // namespace maru::config
