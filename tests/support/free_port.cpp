#include "tests/support/free_port.hpp"

#include <stdexcept>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace maru::test {
namespace {

bool can_bind(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
  ::close(fd);
  return bound;
}

} // namespace

std::uint16_t free_port() {
  constexpr std::uint32_t first = 20'000, count = 12'000;
  static std::uint32_t next = static_cast<std::uint32_t>(::getpid()) * 37U;
  for (std::uint32_t tries = 0; tries < count; ++tries) {
    const auto port = static_cast<std::uint16_t>(first + next++ % count);
    if (can_bind(port)) return port;
  }
  throw std::runtime_error("no port is free");
}

} // namespace maru::test
