#include "net/event_stream.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/system/error_code.hpp>
#include <sodium.h>

#include "config/limits.hpp"
#include "net/outgoing.hpp"

namespace maru::net {
namespace {

using boost::system::error_code;

refusal refusal_for(close_code why) {
  switch (why) {
  case close_code::token_refused:
    return {code::unauthenticated, "", 0};
  case close_code::forbidden:
    return {code::forbidden, "", 0};
  case close_code::too_many_connections:
    return {code::quota_exceeded, "too many connections are open", limits::retry_after_ms};
  default:
    return {code::overloaded, "", limits::retry_after_ms};
  }
}

// How long a client waits before it comes back: not all at once.
std::string retry_hint() {
  return "retry: " + std::to_string(randombytes_uniform(limits::stream_retry_ms)) + "\n\n";
}

framing framing_of(const stream_start& start) {
  return start.chunked ? framing::chunked_events : framing::events;
}

// Everything but the five calls of actors::connection happens on the worker's thread.
class stream_connection final : public event_stream,
                                private outgoing<stream_connection>,
                                public std::enable_shared_from_this<stream_connection> {
public:
  stream_connection(std::shared_ptr<worker> home, stream_start start)
      : outgoing(std::move(home), connection_kind::sse, framing_of(start)), start_(std::move(start)) {}

  void open();

  // From any thread.
  void push(actors::frame_ptr out) override;
  void answer(actors::frame_ptr out, std::size_t bytes) override;
  void close(close_code why) override;
  void attach(std::shared_ptr<actors::session_port> to) override;
  void tell_when_drained() override;
  [[nodiscard]] std::uint64_t id() const override { return id_; }
  [[nodiscard]] bool may_continue() const override { return false; }

  void serve(stream_socket socket) override;
  void abandon() override;
  void tick(std::int64_t now_ms) override;
  void count(net_totals& to) const override { count_open(to); }
  void drain() override { close(close_code::draining); }
  void cut() override { finish(); }

private:
  friend class outgoing<stream_connection>;

  void decide(const refusal& how);
  void say(const std::string& piece);
  void flush();
  void all_written();
  void listen();
  void finish();

  stream_socket& socket() { return *socket_; }
  [[nodiscard]] framing how() const { return framing_of(start_); }

  stream_start start_;
  std::optional<stream_socket> socket_; // from serve() on
  std::atomic<bool> decided_{false};
  std::atomic<bool> opened_{false};
  std::int64_t closing_since_ = 0, last_comment_ = 0;
  bool closing_ = false;
  bool ended_ = false; // all is written
};

// --- the room ------------------------------------------------------------------------------------------

void stream_connection::open() {
  count_accepted();
  home_->shared().with.front.hello(shared_from_this(), std::move(start_.who), {});
}

void stream_connection::attach(std::shared_ptr<actors::session_port> to) {
  home_->post([self = shared_from_this(), to = std::move(to)]() mutable {
    if (self->told_gone_) return to->gone(self->id_);
    self->session_ = std::move(to);
    self->session_->take(self->id_, self->start_.what, 0);
  });
}

// The first is the answer to the `open`, and all of them: nothing else is asked.
void stream_connection::answer(actors::frame_ptr out, std::size_t) {
  if (!out || decided_) return;
  if (out->refused != code::ok) return decide({out->refused, "", 0});
  say(start_.head);
  say(as_chunk(retry_hint(), how()));
  if (out_.push(std::move(out))) wake();
  opened_ = true;
  decide({});
}

// What comes before `opened` is the welcome of a socket.
void stream_connection::push(actors::frame_ptr out) {
  if (!opened_) return;
  const bool last = out->refused != code::ok; // the room cannot be read any more
  if (out_.push(std::move(out))) wake();
  if (last) close(close_code::normal);
}

void stream_connection::close(close_code why) {
  decide(refusal_for(why));
  if (out_.finish(why)) wake();
}

void stream_connection::tell_when_drained() {
  home_->post([self = shared_from_this()] {
    if (!self->gone_ && self->session_ && self->out_.low_or_tell()) self->session_->drained(self->id_);
  });
}

void stream_connection::decide(const refusal& how) {
  if (decided_.exchange(true)) return;
  home_->post([self = shared_from_this(), how] {
    if (const auto tell = std::exchange(self->start_.decided, nullptr)) tell(how);
  });
}

void stream_connection::abandon() {
  decided_ = true;
  start_.decided = nullptr;
  finish();
}

// --- writing -------------------------------------------------------------------------------------------

void stream_connection::serve(stream_socket socket) {
  socket_.emplace(std::move(socket));
  home_->add(shared_from_this());
  // A peer that vanished without a word takes no more: the comments would wait for it for a quarter of an
  // hour.
  const unsigned most = limits::write_timeout_ms;
  ::setsockopt(socket_->native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &most, sizeof most);
  last_comment_ = now();
  listen();
  flush();
}

void stream_connection::say(const std::string& piece) {
  if (out_.control({piece.begin(), piece.end()})) wake();
}

void stream_connection::flush() {
  out_.take_credit();
  if (gone_ || !socket_) return;
  if (!closing_ && out_.closed()) {
    closing_ = true;
    closing_since_ = now();
  }
  if (!stalled_) write_out();
}

// The peer's end is to come, or time runs out: closing at once could reset what is on its way.
void stream_connection::all_written() {
  if (!out_.finished() || std::exchange(ended_, true)) return;
  closing_since_ = now();
  error_code ignored;
  socket_->shutdown(stream_socket::shutdown_send, ignored);
  tell_gone();
}

// A client has nothing more to say: what comes is dropped, and its end is the stream's.
void stream_connection::listen() {
  socket_->async_wait(stream_socket::wait_read, [self = shared_from_this()](error_code failed) {
    if (self->gone_) return;
    std::array<char, limits::read_chunk_bytes> scratch;
    const auto size =
        failed ? 0 : ::recv(self->socket_->native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    const bool nothing = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (size <= 0 && !nothing) return self->finish();
    self->listen();
  });
}

// --- time and the end ----------------------------------------------------------------------------------

void stream_connection::tick(std::int64_t now_ms) {
  if (closing_) {
    if (now_ms - closing_since_ > (ended_ ? limits::close_timeout_ms : limits::write_timeout_ms)) finish();
    return;
  }
  if (stalled_ && now_ms - last_write_ > limits::write_timeout_ms) return finish();
  if (now_ms - last_comment_ < limits::stream_comment_ms) return;
  last_comment_ = now_ms;
  if (!stalled_) say(as_chunk(": still here\n\n", how()));
}

void stream_connection::finish() {
  if (std::exchange(gone_, true)) return;
  const auto keep = shared_from_this();
  out_.finish();
  if (socket_) {
    home_->remove(*this);
    error_code ignored;
    socket_->close(ignored);
  }
  tell_gone();
}

} // namespace

std::shared_ptr<event_stream> open_stream(std::shared_ptr<worker> home, stream_start start) {
  auto made = std::make_shared<stream_connection>(std::move(home), std::move(start));
  made->open();
  return made;
}

} // namespace maru::net
