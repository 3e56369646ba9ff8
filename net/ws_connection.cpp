#include "net/ws_connection.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <sys/socket.h>

#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <spdlog/spdlog.h>

#include "config/limits.hpp"
#include "net/codec.hpp"
#include "net/corked.hpp"
#include "net/decode.hpp"
#include "net/outgoing.hpp"

namespace maru::net {
namespace {

namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using stream = websocket::stream<corked, false>; // without permessage-deflate

frame_type type_of(const client_frame& what) {
  struct names {
    frame_type operator()(const ping_in&) const { return frame_type::ping; }
    frame_type operator()(const actors::hello_in&) const { return frame_type::hello; }
    frame_type operator()(const actors::open_in&) const { return frame_type::open; }
    frame_type operator()(const actors::close_in&) const { return frame_type::close; }
    frame_type operator()(const actors::send_in&) const { return frame_type::send; }
    frame_type operator()(const actors::stop_in&) const { return frame_type::stop; }
    frame_type operator()(const actors::retry_in&) const { return frame_type::retry; }
    frame_type operator()(const actors::frame_in& in) const { return std::visit(*this, in); }
  };
  return std::visit(names{}, what);
}

// Everything but the five calls of actors::connection happens on the worker's thread.
class ws_connection final : public actors::connection,
                            public member,
                            public corked::sink,
                            private outgoing<ws_connection>,
                            public std::enable_shared_from_this<ws_connection> {
public:
  ws_connection(std::shared_ptr<worker> home, stream_socket socket, ws_start& start)
      : outgoing(std::move(home), connection_kind::ws, framing::websocket) {
    ws_.emplace(std::move(socket), std::move(start.ahead), *this);
  }

  void start(ws_start start);

  // From any thread.
  void push(actors::frame_ptr out) override {
    if (out_.push(std::move(out))) wake();
  }
  void answer(actors::frame_ptr out, std::size_t bytes) override {
    if (out_.answer(std::move(out), bytes)) wake();
  }
  void close(close_code why) override {
    if (out_.finish(why)) wake();
  }
  void attach(std::shared_ptr<actors::session_port> to) override;
  void tell_when_drained() override;
  [[nodiscard]] std::uint64_t id() const override { return id_; }

  void wire(std::vector<char> bytes) override {
    if (out_.control(std::move(bytes))) wake();
  }

  void tick(std::int64_t now_ms) override;
  void count(net_totals& to) const override { count_open(to); }
  void drain() override { close(close_code::draining); }
  void cut() override { finish(); }

private:
  friend class outgoing<ws_connection>;

  void on_accepted(error_code failed);
  void read();
  void on_read(error_code failed, std::size_t size);
  void read_failed(error_code why);
  [[nodiscard]] bool holds_back() const;
  void take_message();
  void take(ping_in in);
  void take(actors::hello_in in);
  void take(actors::frame_in in);
  void refuse(const std::string& id, const refusal& why) {
    count(metric::commands_refused, why.why);
    say(home_->shared().codec->error(id, why));
  }
  void say(actors::frame_ptr out) { flush_wanted_ |= out_.push(std::move(out)); }

  void flush();
  void all_written();
  void linger();
  void finish();
  void tell_if_low();
  void let_go() {
    ws_.reset();
    message_ = {};
  }
  void heartbeat(std::int64_t now_ms);
  template <class Value>
  void count(metric what, Value at, std::uint64_t n = 1) {
    counts().add_at(what, static_cast<std::size_t>(at), n);
  }
  void count_end();

  stream_socket& socket() { return ws_->next_layer().socket(); }

  std::optional<stream> ws_;                   // until the end
  std::unique_ptr<actors::identity> identity_; // until hello
  std::optional<close_code> refused_;
  std::string message_;
  std::size_t commands_ = 0, command_bytes_ = 0; // under way
  std::int64_t since_ = 0;                       // of the upgrade, then of hello
  std::int64_t closing_since_ = 0;
  std::int64_t last_read_ = 0, last_ping_ = 0;
  std::uint32_t missed_ = 0;           // pings without a sign of life
  std::string_view ended_as_ = "lost"; // unless it was closed by us
  bool accepted_ = false;
  bool said_hello_ = false;
  bool reading_ = false; // Beast has the read or the accept under way
  bool read_ended_ = false;
  bool closing_ = false;
  bool lingering_ = false;
  bool flush_wanted_ = false;
  bool asked_early_ = false;
};

// --- the beginning -------------------------------------------------------------------------------------

void ws_connection::start(ws_start start) {
  home_->add(shared_from_this());
  count_accepted();
  since_ = last_read_ = last_ping_ = now();
  if (auto* who = std::get_if<actors::identity>(&start.outcome))
    identity_ = std::make_unique<actors::identity>(std::move(*who));
  if (const auto* why = std::get_if<close_code>(&start.outcome)) refused_ = *why;
  ws_->read_message_max(limits::frame_in_bytes);
  ws_->control_callback([this](websocket::frame_type, boost::string_view) {
    last_read_ = home_->now_ms();
    missed_ = 0;
  });
  ws_->set_option(websocket::stream_base::decorator(
      [protocol = std::move(start.protocol), id = std::move(start.request_id)](websocket::response_type& to) {
        to.set("X-Request-Id", id);
        if (!protocol.empty()) to.set("Sec-WebSocket-Protocol", protocol);
      }));
  reading_ = true;
  ws_->async_accept(start.request,
                    [self = shared_from_this()](error_code failed) { self->on_accepted(failed); });
}

void ws_connection::on_accepted(error_code failed) {
  reading_ = false;
  if (gone_) return let_go();
  if (failed) return read_failed(failed);
  accepted_ = true;
  ws_->set_option(websocket::stream_base::decorator([](websocket::response_type&) {})); // frees what it held
  if (!refused_) return read();
  close(*refused_);
  flush(); // so that what was sent along with the upgrade is not taken
}

void ws_connection::attach(std::shared_ptr<actors::session_port> to) {
  home_->post([self = shared_from_this(), to = std::move(to)]() mutable {
    if (self->told_gone_) return to->gone(self->id_);
    self->session_ = std::move(to);
    if (std::exchange(self->asked_early_, false)) self->tell_if_low();
    self->read();
  });
}

void ws_connection::tell_when_drained() {
  home_->post([self = shared_from_this()] { self->tell_if_low(); });
}

// The session's own post may still be on its way: Asio keeps the order of one thread's posts only.
void ws_connection::tell_if_low() {
  if (gone_) return;
  asked_early_ = !session_;
  if (session_ && out_.low_or_tell()) session_->drained(id_);
}

// --- reading -------------------------------------------------------------------------------------------

// The credit window is used up, or nobody is there yet to take frames: TCP makes the peer wait.
bool ws_connection::holds_back() const {
  if (closing_) return false; // on the way to its close frame
  return (said_hello_ && !session_) || commands_ >= limits::commands_under_way ||
         command_bytes_ >= limits::command_bytes_under_way;
}

void ws_connection::read() {
  if (gone_ || reading_ || read_ended_ || !accepted_ || holds_back()) return;
  constexpr std::size_t first_bytes = 256; // most frames; an idle connection holds no more
  const auto old = message_.size();
  const auto room = old < first_bytes ? first_bytes : limits::read_chunk_bytes;
  message_.resize(old + room);
  reading_ = true;
  ws_->async_read_some(asio::buffer(message_.data() + old, room),
                       [self = shared_from_this(), old](error_code failed, std::size_t size) {
                         self->message_.resize(old + size);
                         self->on_read(failed, size);
                       });
}

void ws_connection::on_read(error_code failed, std::size_t size) {
  reading_ = false;
  count(metric::received_bytes, connection_kind::ws, size);
  if (gone_) return let_go();
  last_read_ = now();
  missed_ = 0;
  if (failed) return read_failed(failed);
  if (closing_ || out_.closed()) {
    message_.clear();
  } else if (ws_->got_binary()) {
    close(close_code::bad_protocol);
    message_.clear();
  } else if (ws_->is_message_done()) {
    take_message();
    message_.clear();
    if (message_.capacity() > limits::read_buffer_kept_bytes) message_ = {};
  }
  if (std::exchange(flush_wanted_, false)) flush();
  read();
}

// Beast has put a close frame into the outbox where the protocol wants one.
void ws_connection::read_failed(error_code why) {
  read_ended_ = true;
  const bool cut_off = why == asio::error::eof || why == asio::error::connection_reset ||
                       why == asio::error::operation_aborted || why == asio::error::broken_pipe;
  if (why == websocket::error::closed) ended_as_ = "peer";
  if (why == websocket::error::message_too_big) ended_as_ = "1009";
  if (why == websocket::error::bad_frame_payload) ended_as_ = "1007";
  if (cut_off || why.category() == boost::system::system_category()) return finish();
  out_.finish();
  flush();
}

void ws_connection::take_message() {
  auto got = decode_frame(message_);
  const auto* bad = std::get_if<refused_frame>(&got);
  count(metric::frames_received, bad != nullptr ? frame_type::refused : type_of(std::get<client_frame>(got)));
  if (bad != nullptr) return refuse(bad->id, bad->why);
  std::visit([this](auto& in) { take(std::move(in)); }, std::get<client_frame>(got));
}

void ws_connection::take(actors::hello_in in) {
  if (said_hello_) return refuse("", {code::bad_order, "hello was said already", 0});
  said_hello_ = true;
  since_ = now();
  const auto who = std::exchange(identity_, nullptr);
  home_->shared().with.front.hello(shared_from_this(), std::move(*who), std::move(in));
}

void ws_connection::take(ping_in in) {
  if (!said_hello_) return refuse("", {code::bad_order, "hello comes first", 0});
  say(pong_frame(in.t));
}

void ws_connection::take(actors::frame_in in) {
  if (!said_hello_) {
    std::string id;
    if (const auto* send = std::get_if<actors::send_in>(&in)) id = send->id;
    if (const auto* stop = std::get_if<actors::stop_in>(&in)) id = stop->id;
    if (const auto* retry = std::get_if<actors::retry_in>(&in)) id = retry->id;
    return refuse(id, {code::bad_order, "hello comes first", 0});
  }
  ++commands_;
  command_bytes_ += message_.size();
  session_->take(id_, std::move(in), message_.size());
}

// --- writing -------------------------------------------------------------------------------------------

void ws_connection::flush() {
  const auto back = out_.take_credit();
  commands_ -= std::min(commands_, back.commands);
  command_bytes_ -= std::min(command_bytes_, back.bytes);
  if (gone_) return;
  if (!stalled_) write_out();
  if (gone_) return;
  if (!closing_ && out_.closed()) {
    closing_ = true;
    closing_since_ = now();
  }
  read();
}

void ws_connection::all_written() {
  // The peer's close frame is to come, or time runs out.
  if (!out_.finished() || !read_ended_ || std::exchange(lingering_, true)) return;
  error_code ignored;
  socket().shutdown(stream_socket::shutdown_send, ignored);
  tell_gone();
  linger();
}

// Both sides have said what they had to; closing with unread bytes would reset what is still on its way.
void ws_connection::linger() {
  std::array<char, limits::read_chunk_bytes> scratch;
  const auto size = ::recv(socket().native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return finish();
  socket().async_wait(stream_socket::wait_read, [self = shared_from_this()](error_code ended) {
    if (self->gone_) return;
    if (ended) return self->finish();
    self->linger();
  });
}

// --- time and the end ----------------------------------------------------------------------------------

void ws_connection::tick(std::int64_t now_ms) {
  if (closing_) {
    // A slow reader has to see why: the short time counts from when the close frame was written.
    const bool said = out_.finished();
    const auto since = said ? std::max(closing_since_, last_write_) : closing_since_;
    if (now_ms - since > (said ? limits::close_timeout_ms : limits::write_timeout_ms)) finish();
    return;
  }
  if (stalled_ && now_ms - last_write_ > limits::write_timeout_ms) return finish();
  if (!said_hello_) {
    if (now_ms - since_ <= limits::hello_timeout_ms) return;
    return accepted_ ? close(close_code::no_hello) : finish();
  }
  if (!session_ && now_ms - since_ > limits::attach_timeout_ms) return close(close_code::overloaded);
  heartbeat(now_ms);
}

void ws_connection::heartbeat(std::int64_t now_ms) {
  if (holds_back()) {
    last_read_ = now_ms; // it is not the peer's silence
    return;
  }
  if (now_ms - std::max(last_read_, last_ping_) < limits::heartbeat_ms) return;
  if (missed_ >= limits::heartbeats_missed) return finish();
  ++missed_;
  last_ping_ = now_ms;
  constexpr std::uint8_t ping = 0x9;
  std::array<std::uint8_t, 10> header;
  const auto size = frame_header(header, ping, 0);
  wire({header.begin(), header.begin() + size});
}

void ws_connection::finish() {
  if (gone_) return;
  gone_ = true;
  count_end();
  const auto keep = shared_from_this();
  out_.finish();
  home_->remove(*this);
  error_code ignored;
  socket().close(ignored);
  if (!reading_) let_go(); // otherwise Beast may still write into the message; its handler does it
  tell_gone();
}

void ws_connection::count_end() {
  const auto why = out_.closed_with();
  count(metric::websockets_closed,
        counts().at(metric::websockets_closed,
                    why ? std::to_string(static_cast<unsigned>(*why)) : std::string{ended_as_}));
}

} // namespace

void start_websocket(std::shared_ptr<worker> home, stream_socket socket, ws_start start) {
  auto made = std::make_shared<ws_connection>(std::move(home), std::move(socket), start);
  made->start(std::move(start));
}

} // namespace maru::net
