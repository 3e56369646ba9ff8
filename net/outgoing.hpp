#pragma once

// What WebSockets and event streams have in common: an outbox that empties into a socket, for a session.
// Private to net/.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>

#include <sys/socket.h>

#include "net/outbox.hpp"
#include "net/worker.hpp"

namespace maru::net {

// `Self` lives in a shared_ptr and has, all for the worker's thread: socket(); flush(), which calls
// write_out() unless stalled_; all_written(); finish(), which may be called within write_out(), sets gone_
// before it closes the socket, and calls tell_gone().
template <class Self>
class outgoing {
protected:
  outgoing(std::shared_ptr<worker> home, connection_kind kind, framing how)
      : home_(std::move(home)), kind_(kind), out_(*home_->shared().codec, how),
        id_(++home_->shared().last_id) {}
  ~outgoing() = default;

  metrics& counts() const { return *home_->shared().with.counts; }
  std::int64_t now() { return home_->read_clock(); }

  void wake() {
    home_->post_soon([it = self().shared_from_this()] { it->flush(); });
  }

  void write_out() {
    constexpr int rounds = 8; // then the others on this thread have a turn
    for (int round = 0; round < rounds; ++round) {
      outbox::gathered next;
      out_.gather(next);
      if (next.count == 0) return self().all_written();
      msghdr message{};
      message.msg_iov = next.parts.data();
      message.msg_iovlen = next.count;
      const auto size = ::sendmsg(self().socket().native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return stall();
      if (size < 0) return self().finish();
      wrote(static_cast<std::size_t>(size));
    }
    wake();
  }

  // Once, and also when the session is not there yet: attach() looks at told_gone_.
  void tell_gone() {
    told_gone_ = true;
    if (const auto session = std::exchange(session_, nullptr)) session->gone(id_);
  }

  void count_open(net_totals& to) const {
    const auto bytes = out_.bytes();
    ++to.open[static_cast<std::size_t>(kind_)];
    to.outbox_bytes += bytes;
    to.outbox_largest_bytes = std::max<std::uint64_t>(to.outbox_largest_bytes, bytes);
  }
  void count_accepted() { counts().add_at(metric::connections_accepted, static_cast<std::size_t>(kind_)); }

  const std::shared_ptr<worker> home_; // before the socket: it goes last
  const connection_kind kind_;
  outbox out_;
  const std::uint64_t id_;
  std::shared_ptr<actors::session_port> session_;
  std::int64_t last_write_ = 0;
  bool stalled_ = false;
  bool told_gone_ = false;
  bool gone_ = false;

private:
  Self& self() { return static_cast<Self&>(*this); }

  void wrote(std::size_t bytes) {
    const bool low = out_.wrote(bytes);
    counts().add_at(metric::sent_bytes, static_cast<std::size_t>(kind_), bytes);
    counts().add(metric::frames_sent, out_.take_frames_written());
    if (low && session_) session_->drained(id_);
  }

  void stall() {
    stalled_ = true;
    last_write_ = now();
    out_.stalled(true);
    self().socket().async_wait(stream_socket::wait_write,
                               [it = self().shared_from_this()](boost::system::error_code failed) {
                                 if (it->gone_) return;
                                 it->stalled_ = false;
                                 it->out_.stalled(false);
                                 if (failed) return it->finish();
                                 it->flush();
                               });
  }
};

} // namespace maru::net
