#pragma once

// From an outbox to a socket. Private to net/.

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <sys/socket.h>

#include "net/outbox.hpp"
#include "net/worker.hpp"

namespace maru::net {

enum class pumped : std::uint8_t {
  all,
  some,    // the rest soon: the others on this thread have a turn
  stalled, // the socket takes no more for now
  failed,
};

// Writes what waits; calls `wrote` with the bytes of each write and what outbox::wrote() says.
template <class Wrote>
pumped pump(outbox& from, int socket, const Wrote& wrote) {
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
    wrote(static_cast<std::size_t>(size), from.wrote(static_cast<std::size_t>(size)));
  }
  return pumped::some;
}

inline void count_outbox(net_totals& to, connection_kind kind, const outbox& of) {
  const auto bytes = of.bytes();
  ++to.open[static_cast<std::size_t>(kind)];
  to.outbox_bytes += bytes;
  to.outbox_largest_bytes = std::max<std::uint64_t>(to.outbox_largest_bytes, bytes);
}

} // namespace maru::net
