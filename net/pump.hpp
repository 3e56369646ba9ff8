#pragma once

// From an outbox to a socket. Private to net/.

#include <cerrno>
#include <cstdint>

#include <sys/socket.h>

#include "net/outbox.hpp"

namespace maru::net {

enum class pumped : std::uint8_t {
  all,
  some,    // the rest soon: the others on this thread have a turn
  stalled, // the socket takes no more for now
  failed,
};

// Writes what waits; calls `low` where outbox::wrote() says so.
template <class Low>
pumped pump(outbox& from, int socket, const Low& low) {
  constexpr int rounds = 8;
  for (int round = 0; round < rounds; ++round) {
    outbox::gathered next;
    from.gather(next);
    if (next.count == 0) return pumped::all;
    msghdr message{};
    message.msg_iov = next.parts.data();
    message.msg_iovlen = next.count;
    const auto size = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return pumped::stalled;
    if (size < 0) return pumped::failed;
    if (from.wrote(static_cast<std::size_t>(size))) low();
  }
  return pumped::some;
}

} // namespace maru::net
