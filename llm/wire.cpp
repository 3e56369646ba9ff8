#include <utility>

#include "llm/core.hpp"
#include "llm/wire.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>

#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/clock.hpp"
#include "config/limits.hpp"

namespace maru::llm::wire {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;
using executor = net::io_context::executor_type;
using tcp_socket = net::basic_stream_socket<tcp, executor>;
using tls_stream = net::ssl::stream<tcp_socket&>;
using timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                        net::wait_traits<std::chrono::steady_clock>, executor>;
using resolver = net::ip::basic_resolver<tcp, executor>;

// A body that is handed on as it comes instead of being kept.
struct passing_body {
  using value_type = std::string*;
  class reader {
  public:
    template <bool IsRequest, class Fields>
    reader(http::header<IsRequest, Fields>&, value_type& to) : to_(to) {}
    void init(const boost::optional<std::uint64_t>&, error_code& error) { error = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, error_code& error) {
      error = {};
      std::size_t n = 0;
      for (auto at = net::buffer_sequence_begin(buffers); at != net::buffer_sequence_end(buffers); ++at) {
        net::const_buffer part = *at;
        to_->append(static_cast<const char*>(part.data()), part.size());
        n += part.size();
      }
      return n;
    }
    void finish(error_code& error) { error = {}; }

  private:
    value_type& to_;
  };
};

using reply_parser = http::response_parser<passing_body>;

struct connection {
  connection(loop& on, net::ssl::context* tls_with) : home(on), socket(on.io()) {
    if (tls_with) tls.emplace(socket, *tls_with);
  }

  // Whether the other side has neither closed it nor sent what nobody asked for.
  bool quiet() {
    char byte = 0;
    return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  void close() {
    error_code ignored;
    socket.close(ignored);
  }

  template <class Buffers, class Handler>
  void read_some(const Buffers& to, Handler&& done) {
    if (tls)
      tls->async_read_some(to, std::forward<Handler>(done));
    else
      socket.async_read_some(to, std::forward<Handler>(done));
  }

  template <class Buffers, class Handler>
  void write(const Buffers& from, Handler&& done) {
    if (tls)
      net::async_write(*tls, from, std::forward<Handler>(done));
    else
      net::async_write(socket, from, std::forward<Handler>(done));
  }

  loop& home; // in use it is touched there alone; an idle one may be closed from anywhere
  tcp_socket socket;
  std::optional<tls_stream> tls;
  std::int64_t idle_since = 0;
};

} // namespace

class pool {
public:
  pool(std::shared_ptr<core> on, base_url to, std::shared_ptr<net::ssl::context> tls, std::size_t most_idle)
      : shared(std::move(on)), where(std::move(to)), tls_with(std::move(tls)), most_(most_idle) {}

  // The one of this loop used last: the others may then grow old and go.
  std::shared_ptr<connection> take(const loop& home) {
    std::lock_guard lock(mutex_);
    drop_old();
    for (auto i = idle_.size(); i-- > 0;) {
      if (&idle_[i]->home != &home) continue;
      auto one = std::move(idle_[i]);
      idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
      if (one->quiet()) return one;
    }
    return nullptr;
  }

  // What waits for a next request would outlive the loops.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    idle_.clear();
  }

  void put(std::shared_ptr<connection> one) {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    drop_old();
    one->idle_since = system_clock().steady_ms();
    idle_.push_back(std::move(one));
    if (idle_.size() > most_) idle_.pop_front();
  }

  const std::shared_ptr<core> shared;
  const base_url where;
  const std::shared_ptr<net::ssl::context> tls_with;

private:
  void drop_old() {
    auto now = system_clock().steady_ms();
    while (!idle_.empty() && now - idle_.front()->idle_since > limits::provider_idle_connection_ms)
      idle_.pop_front();
  }

  const std::size_t most_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<connection>> idle_;
  bool closed_ = false;
};

namespace {

class exchange final : public running, public std::enable_shared_from_this<exchange> {
public:
  exchange(std::shared_ptr<pool> over, const times& limits, std::string request, std::shared_ptr<sink> tell)
      : pool_(std::move(over)), home_(pool_->shared->near()), times_(limits), request_(std::move(request)),
        sink_(std::move(tell)), timer_(home_.io()), resolver_(home_.io()) {}

  void begin() {
    if (!pool_->shared->add(shared_from_this())) return;
    at_home([self = shared_from_this()] {
      if (self->closed_) return;
      self->conn_ = self->pool_->take(self->home_);
      self->reused_ = self->conn_ != nullptr;
      self->wait_for_deadline();
      self->reused_ ? self->send() : self->connect();
    });
  }

  void close() override {
    if (!pool_->shared->over()) at_home([self = shared_from_this()] { self->shut(); });
  }

private:
  template <class F>
  void at_home(F&& what) {
    if (loop::here() == &home_)
      home_.defer(std::forward<F>(what));
    else
      net::post(home_.io(), std::forward<F>(what));
  }

  // --- time ---

  static std::int64_t now() { return system_clock().steady_ms(); }

  // The timer is set again only when the limit comes nearer; otherwise it finds out when it fires.
  void set_deadline(std::int64_t at) {
    deadline_ = at;
    if (deadline_ < timer_at_) wait_for_deadline();
  }

  void wait_for_deadline() {
    timer_at_ = deadline_;
    timer_.expires_after(std::chrono::milliseconds(std::max<std::int64_t>(deadline_ - now(), 0) + 1));
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->closed_) return;
      if (now() < self->deadline_)
        self->wait_for_deadline();
      else
        self->finish(end::timed_out, self->connected_ ? self->alive_ ? "idle" : "first piece" : "connect");
    });
  }

  // --- connecting ---

  void connect() {
    connected_ = false;
    conn_ = std::make_shared<connection>(home_, pool_->tls_with.get());
    set_deadline(now() + times_.connect_ms);
    error_code error;
    auto address = net::ip::make_address(pool_->where.host, error);
    if (!error) {
      conn_->socket.async_connect(
          tcp::endpoint(address, pool_->where.port),
          [self = shared_from_this()](error_code failed) { self->on_connect(failed); });
      return;
    }
    auto service = std::to_string(pool_->where.port);
    resolver_.async_resolve(pool_->where.host, service, tcp::resolver::numeric_service,
                            [self = shared_from_this()](error_code failed, const auto& found) {
                              self->on_resolve(failed, found);
                            });
  }

  void on_resolve(error_code error, const resolver::results_type& found) {
    if (closed_) return;
    if (error) return finish(end::unreachable, error.message());
    net::async_connect(
        conn_->socket, found,
        [self = shared_from_this()](error_code failed, const tcp::endpoint&) { self->on_connect(failed); });
  }

  void on_connect(error_code error) {
    if (closed_) return;
    if (error) return finish(end::unreachable, error.message());
    error_code ignored;
    conn_->socket.set_option(tcp::no_delay(true), ignored);
    if (!conn_->tls) return send();
    const auto& host = pool_->where.host;
    net::ip::make_address(host, error);
    // Server name indication is for names alone.
    if (error && SSL_set_tlsext_host_name(conn_->tls->native_handle(), host.c_str()) != 1)
      return finish(end::unreachable, "tls: bad host name");
    conn_->tls->set_verify_callback(net::ssl::host_name_verification(host), error);
    if (error) return finish(end::unreachable, "tls: " + error.message());
    conn_->tls->async_handshake(
        tls_stream::client, [self = shared_from_this()](error_code failed) { self->on_handshake(failed); });
  }

  void on_handshake(error_code error) {
    if (closed_) return;
    if (error) return finish(end::unreachable, "tls: " + error.message());
    send();
  }

  // --- the request, and reading beside it: a reply may come before the request is all written ---

  void send() {
    connected_ = true;
    written_ = false;
    set_deadline(now() + times_.first_ms);
    new_parser();
    // A failed write is told by the read, which may still bring a reply.
    conn_->write(net::buffer(request_),
                 [self = shared_from_this(), conn = conn_](error_code error, std::size_t) {
                   if (conn == self->conn_) self->written_ = !error;
                 });
    read();
  }

  void new_parser() {
    head_told_ = false;
    parser_.emplace();
    parser_->eager(true);
    parser_->body_limit(boost::none);
    parser_->get().body() = &body_;
  }

  void read() {
    conn_->read_some(net::buffer(buffer_.data() + held_, buffer_.size() - held_),
                     [self = shared_from_this(), conn = conn_](error_code error, std::size_t n) {
                       if (!self->closed_ && conn == self->conn_) self->on_read(error, n);
                     });
  }

  void on_read(error_code error, std::size_t n) {
    got_any_ = got_any_ || n > 0;
    held_ += n;
    if (n > 0 && !take_in()) return;
    if (error) return on_read_end(error);
    if (held_ == buffer_.size()) return finish(end::malformed, "a header line or chunk size beyond bounds");
    read();
  }

  void on_read_end(error_code error) {
    if (!got_any_ && reused_) {
      // The other side closed a kept connection just when we used it: nothing was lost but time.
      reused_ = false;
      conn_->close();
      return connect();
    }
    if (got_any_ && parser_->got_some() &&
        (error == net::error::eof || error == net::ssl::error::stream_truncated)) {
      error_code ended;
      parser_->put_eof(ended);
      if (!ended && parser_->is_done()) return finish(end::complete, "");
    }
    finish(end::closed, error.message());
  }

  // Hands on what the buffer holds. False when the exchange is over.
  bool take_in() {
    std::size_t used = 0;
    body_.clear();
    while (used < held_ && !parser_->is_done()) {
      error_code error;
      used += parser_->put(net::buffer(buffer_.data() + used, held_ - used), error);
      if (parser_->is_header_done() && parser_->get().result_int() / 100 == 1) {
        new_parser(); // an interim reply; the real one follows
        continue;
      }
      if (error == http::error::need_more) break;
      if (error) {
        finish(end::malformed, error.message());
        return false;
      }
    }
    held_ -= used;
    std::memmove(buffer_.data(), buffer_.data() + used, held_);
    if (!tell()) return false;
    if (parser_->is_done()) {
      finish_reply();
      return false;
    }
    return true;
  }

  bool tell() {
    if (!head_told_ && parser_->is_header_done()) {
      head_told_ = true;
      const auto& message = parser_->get();
      auto field = [&](http::field name) { return std::string(message[name].data(), message[name].size()); };
      if (!obey(sink_->on_head({static_cast<int>(message.result_int()), field(http::field::content_type),
                                field(http::field::retry_after)})))
        return false;
    }
    if (body_.empty()) return true;
    if (!settled_) return obey(sink_->on_body(body_));
    settle_bytes_ += body_.size();
    if (settle_bytes_ <= limits::provider_settle_bytes) return true;
    shut();
    return false;
  }

  bool obey(verdict what) {
    if (closed_) return false;
    switch (what) {
    case verdict::wait:
      return true;
    case verdict::alive:
      alive_ = true;
      if (!hurried_) set_deadline(now() + times_.idle_ms);
      return true;
    case verdict::settle:
      settled_ = true;
      sink_.reset();
      [[fallthrough]];
    case verdict::hurry:
      if (!std::exchange(hurried_, true) || settled_)
        set_deadline(std::min(deadline_, now() + limits::provider_last_words_ms));
      return true;
    case verdict::close:
      shut();
      return false;
    }
    return false;
  }

  void finish_reply() {
    if (parser_->keep_alive() && held_ == 0 && written_) {
      pool_->put(std::move(conn_));
      conn_ = nullptr;
    }
    finish(end::complete, "");
  }

  // --- the end ---

  void finish(end how, std::string_view detail) {
    auto last = settled_ ? nullptr : sink_;
    shut();
    if (last) last->on_end(how, detail);
  }

  void shut() {
    if (std::exchange(closed_, true)) return;
    if (conn_) conn_->close();
    timer_.cancel();
    resolver_.cancel();
    pool_->shared->remove(this);
    sink_.reset();
  }

  std::shared_ptr<pool> pool_; // first, for it holds what all the others rest on
  loop& home_;
  std::shared_ptr<connection> conn_;
  times times_;
  std::string request_;
  std::shared_ptr<sink> sink_;
  timer timer_;
  resolver resolver_;
  std::optional<reply_parser> parser_;
  std::array<char, limits::provider_read_bytes> buffer_;
  std::size_t held_ = 0;
  std::string body_;
  std::size_t settle_bytes_ = 0;
  std::int64_t deadline_ = now() + times_.connect_ms;
  std::int64_t timer_at_ = 0;
  bool reused_ = false;
  bool connected_ = false;
  bool written_ = false;
  bool got_any_ = false;
  bool head_told_ = false;
  bool alive_ = false;
  bool hurried_ = false;
  bool settled_ = false;
  bool closed_ = false;
};

} // namespace

std::shared_ptr<pool> make_pool(network& on, const base_url& to, const std::string& ca_file,
                                std::size_t most_idle) {
  auto shared = on.inner().shared;
  std::shared_ptr<net::ssl::context> tls;
  if (to.tls) tls = ca_file.empty() ? shared->system_tls() : make_tls(ca_file);
  auto made = std::make_shared<pool>(shared, to, std::move(tls), most_idle);
  shared->on_stop([weak = std::weak_ptr(made)] {
    if (const auto alive = weak.lock()) alive->close();
  });
  return made;
}

std::shared_ptr<running> start(const std::shared_ptr<pool>& over, const times& limits, std::string request,
                               std::shared_ptr<sink> tell) {
  auto one = std::make_shared<exchange>(over, limits, std::move(request), std::move(tell));
  one->begin();
  return one;
}

} // namespace maru::llm::wire
