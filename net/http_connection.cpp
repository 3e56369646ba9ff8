#include "net/http_connection.hpp"

#include <array>
#include <optional>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <spdlog/spdlog.h>

#include "config/limits.hpp"
#include "net/cors.hpp"
#include "net/event_stream.hpp"
#include "net/headers.hpp"
#include "net/http_message.hpp"
#include "net/listener.hpp"
#include "net/scrape.hpp"
#include "net/url.hpp"
#include "net/ws_connection.hpp"

namespace maru::net {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using std::string_view;

http_reply too_many_replies() {
  return problem({code::overloaded, "too many replies wait for their readers", limits::retry_after_ms});
}

class http_connection final : public member, public std::enable_shared_from_this<http_connection> {
public:
  http_connection(std::shared_ptr<worker> home, stream_socket socket)
      : home_(std::move(home)), socket_(std::move(socket)), body_share_(home_->shared().bodies),
        reply_share_(home_->shared().replies) {}

  void start();
  void tick(std::int64_t now_ms) override;
  void drain() override;
  void cut() override { finish(); }
  void count(net_totals& to) const override { ++to.open[static_cast<std::size_t>(connection_kind::http)]; }

private:
  enum class phase : std::uint8_t { idle, reading, waiting, writing, lingering, over };

  void next_request();
  void read_more();
  void on_read(error_code failed, std::size_t size);
  void parse();
  void note_unfinished();
  void refuse_body();
  void refuse_malformed(const error_code& why);
  bool expects_more();
  void send_continue();

  void dispatch(request_message request);
  void ask(call question);
  template <class Then>
  void identify(const std::string& token, Then then);
  void begin_stream(const actors::identity& who, const actors::open_in& what);
  void stream_decided(const refusal& how);
  void ask(scrape_wanted what);
  void answer_scrape();
  void count_reply(int status);
  void answered(std::uint32_t turn, http_reply out);
  void upgrade(request_message request, const target& where);
  void become_websocket(std::variant<actors::identity, close_code> outcome);

  void reply(http_reply out);
  void write_head();
  void log_reply() const;
  void on_written(error_code failed);
  void linger();
  void finish();

  std::int64_t now() { return home_->read_clock(); }
  metrics& counts() { return *home_->shared().with.counts; }

  std::shared_ptr<worker> home_; // before the socket: it goes last
  stream_socket socket_;
  address_key from_ = 0;
  boost::beast::flat_buffer in_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<ws_start> upgrading_;
  std::shared_ptr<event_stream> stream_; // until it is decided
  budget::share body_share_, reply_share_;
  http_reply reply_;
  std::string head_;
  std::string method_, path_, request_id_, origin_; // of the request under way
  std::int64_t since_ = 0;                          // of the phase; while writing, of its last progress
  std::int64_t write_until_ = 0;                    // progress or not
  std::size_t route_ = no_route();
  std::uint32_t turn_ = 0; // a reply to an older one is late
  phase phase_ = phase::idle;
  bool from_here_ = false; // the peer is on this machine
  bool keep_alive_ = true;
  bool old_http_ = false;
  bool continue_done_ = false;
};

void http_connection::start() {
  if (home_->stopping() || home_->shared().with.draining) return;
  home_->add(shared_from_this());
  counts().add_at(metric::connections_accepted, static_cast<std::size_t>(connection_kind::http));
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay{true}, ignored);
  from_ = key_of_peer(socket_.remote_endpoint(ignored));
  from_here_ = is_from_here(socket_);
  next_request();
}

// --- reading -------------------------------------------------------------------------------------------

void http_connection::next_request() {
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(static_cast<std::uint32_t>(limits::http_header_bytes));
  parser_->body_limit(limits::http_body_bytes);
  continue_done_ = false;
  since_ = now();
  phase_ = phase::idle;
  if (in_.size() > 0) {
    phase_ = phase::reading;
    parse();
  } else {
    in_.shrink_to_fit();
    read_more();
  }
}

void http_connection::read_more() {
  constexpr std::size_t first_bytes = 512;
  const bool body = parser_->is_header_done();
  const auto room = body ? limits::read_chunk_bytes : std::max(first_bytes, in_.size());
  socket_.async_read_some(
      in_.prepare(room),
      [self = shared_from_this()](error_code failed, std::size_t size) { self->on_read(failed, size); });
}

void http_connection::on_read(error_code failed, std::size_t size) {
  if (phase_ == phase::over) return;
  if (failed) return finish();
  in_.commit(size);
  counts().add_at(metric::received_bytes, static_cast<std::size_t>(connection_kind::http), size);
  if (phase_ == phase::idle) {
    phase_ = phase::reading;
    since_ = now();
  }
  parse();
}

void http_connection::parse() {
  error_code failed;
  while (in_.size() > 0 && !parser_->is_done()) {
    const auto used = parser_->put(in_.data(), failed);
    in_.consume(used);
    if (failed == http::error::need_more) {
      failed = {};
      break;
    }
    if (failed) return refuse_malformed(failed);
    if (used == 0) break;
  }
  if (parser_->is_header_done() && is_ambiguous(parser_->get()))
    return refuse_malformed(http::error::bad_transfer_encoding);
  if (parser_->is_header_done() && !body_share_.set(parser_->get().body().size())) return refuse_body();
  if (parser_->is_done()) return dispatch(parser_->release());
  if (expects_more()) return send_continue();
  read_more();
}

// What there is of a request that is not understood to its end.
void http_connection::note_unfinished() {
  auto& with = home_->shared().with;
  with.addresses.take_request(from_, with.time.steady_ms());
  keep_alive_ = false;
  request_id_ = uuid::v7(with.time.unix_ms()).str();
  route_ = no_route();
  method_ = "?";
  path_ = "?";
  origin_ = field(parser_->get(), http::field::origin);
  parser_.reset(); // with what there is of the body
}

void http_connection::refuse_body() {
  note_unfinished();
  reply(problem({code::overloaded, "too much is being sent at once", limits::retry_after_ms}));
}

void http_connection::refuse_malformed(const error_code& why) {
  note_unfinished();
  if (why == http::error::body_limit || why == http::error::buffer_overflow)
    return reply(problem(
        {code::too_large, "a body may have " + std::to_string(limits::http_body_bytes) + " bytes", 0}));
  if (why == http::error::header_limit)
    return reply(problem(
        {code::too_large, "a header may have " + std::to_string(limits::http_header_bytes) + " bytes", 0},
        431));
  reply(problem({code::invalid_field, "this is no HTTP/1.1 request", 0}));
}

bool http_connection::expects_more() {
  if (!parser_->is_header_done() || continue_done_) return false;
  continue_done_ = true;
  return parser_->get().version() >= 11 &&
         has_token(field(parser_->get(), http::field::expect), "100-continue");
}

void http_connection::send_continue() {
  static constexpr string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(socket_, asio::buffer(text.data(), text.size()),
                    [self = shared_from_this()](error_code failed, std::size_t) {
                      if (self->phase_ == phase::over) return;
                      if (failed) return self->finish();
                      self->read_more();
                    });
}

// --- answering -----------------------------------------------------------------------------------------

void http_connection::dispatch(request_message request) {
  phase_ = phase::waiting;
  since_ = now();
  ++turn_;
  keep_alive_ = request.keep_alive() && !home_->shared().with.draining;
  old_http_ = request.version() < 11;
  method_ = view(request.method_string());
  const auto target = view(request.target());
  path_ = target.substr(0, target.find('?')); // a query may hold a ticket
  origin_ = field(request, http::field::origin);
  const auto id = view(request["X-Request-Id"]);
  request_id_ = sane_request_id(id) ? std::string{id} : uuid::v7(home_->shared().with.time.unix_ms()).str();
  if (wants_websocket(request))
    if (const auto where = parse_target(target); where && where->path == "/ws")
      return upgrade(std::move(request), *where);
  auto what = seen(request, from_);
  // A target with an authority of its own makes nothing of Host, which is looked at for whom it names.
  what.from_here = from_here_ && what.target.starts_with('/') && !came_through_proxy(request);
  what.body = std::move(request.body());
  auto next = route(home_->shared().with, what, route_);
  if (auto* ready = std::get_if<http_reply>(&next)) return reply(std::move(*ready));
  if (auto* question = std::get_if<call>(&next)) return ask(std::move(*question));
  if (auto* numbers = std::get_if<scrape_wanted>(&next)) return ask(std::move(*numbers));
  const auto& stream = std::get<stream_call>(next);
  identify(stream.token, [this, what = stream.what](std::variant<actors::identity, refusal> who) {
    if (const auto* why = std::get_if<refusal>(&who)) return reply(problem(*why));
    begin_stream(std::get<actors::identity>(who), what);
  });
}

void http_connection::ask(scrape_wanted what) {
  if (what.token.empty()) return answer_scrape();
  home_->shared().with.front.call(
      std::move(what.token), actors::api::may_observe{},
      [self = shared_from_this(), turn = turn_](const actors::api::reply& got) {
        auto& with = self->home_->shared().with;
        with.addresses.token_was(!refuses_token(got), self->from_, with.time.steady_ms());
        self->home_->post([self, turn, may = std::holds_alternative<actors::api::nothing>(got)] {
          if (self->phase_ != phase::waiting || turn != self->turn_) return;
          may ? self->answer_scrape() : self->reply(problem({code::not_found, "", 0}));
        });
      });
}

void http_connection::answer_scrape() {
  scrape(home_->shared(), [self = shared_from_this(), turn = turn_](const http_reply& out) {
    self->home_->post([self, turn, out] { self->answered(turn, out); });
  });
}

// Called while since_ is that of the request.
void http_connection::count_reply(int status) {
  const auto family = static_cast<std::size_t>(status / 100 - 1);
  counts().add_at(metric::http_requests, counts().place(metric::http_requests, route_, family));
  counts().observe_at(metric::http_request_seconds, route_, static_cast<double>(now() - since_) / 1000);
}

void http_connection::ask(call question) {
  if (!reply_share_.set(question.reply_bytes)) return reply(too_many_replies());
  auto tell = [self = shared_from_this(), turn = turn_,
               render = std::move(question.render)](const actors::api::reply& got) {
    // Rendered where the answer was made: not to be copied from there.
    self->home_->post([self, turn, out = render(got)]() mutable { self->answered(turn, std::move(out)); });
  };
  home_->shared().with.front.call(std::move(question.token), std::move(question.what), std::move(tell));
}

void http_connection::answered(std::uint32_t turn, http_reply out) {
  if (phase_ == phase::waiting && turn == turn_) reply(std::move(out));
}

// `then` is called on this thread, unless the request has been answered by then.
template <class Then>
void http_connection::identify(const std::string& token, Then then) {
  home_->shared().with.front.call(
      token, actors::api::identify{},
      [self = shared_from_this(), turn = turn_, then = std::move(then)](const actors::api::reply& got) {
        auto& with = self->home_->shared().with;
        with.addresses.token_was(!refuses_token(got), self->from_, with.time.steady_ms());
        std::variant<actors::identity, refusal> outcome = refusal{code::internal, "", 0};
        if (const auto* who = std::get_if<actors::identity>(&got)) outcome = *who;
        if (const auto* why = std::get_if<refusal>(&got)) outcome = *why;
        self->home_->post([self, turn, then, outcome = std::move(outcome)]() mutable {
          if (self->phase_ == phase::waiting && turn == self->turn_) then(std::move(outcome));
        });
      });
}

// The head is written now and sent when the room is open.
void http_connection::begin_stream(const actors::identity& who, const actors::open_in& what) {
  if (home_->shared().with.draining) return reply(problem({code::overloaded, "the server is going down", 0}));
  const bool kept = std::exchange(keep_alive_, false);
  reply_ = stream_reply();
  write_head();
  keep_alive_ = kept;
  stream_ =
      open_stream(home_, {who, what, std::move(head_), !old_http_,
                          [self = shared_from_this()](const refusal& how) { self->stream_decided(how); }});
}

void http_connection::stream_decided(const refusal& how) {
  if (how) return reply(problem(how));
  log_reply();
  count_reply(reply_.status);
  phase_ = phase::over;
  const auto stream = std::exchange(stream_, nullptr);
  stream->serve(std::move(socket_));
  home_->remove(*this);
  if (home_->shared().with.draining) stream->drain();
}

void http_connection::reply(http_reply out) {
  if (const auto undecided = std::exchange(stream_, nullptr)) undecided->abandon();
  ++turn_;
  body_share_.set(0);
  if (!reply_share_.set(out.body.size()) && out.body.size() > limits::http_small_reply_bytes)
    out = too_many_replies();
  reply_ = std::move(out);
  keep_alive_ = keep_alive_ && !home_->shared().with.draining;
  write_head();
  log_reply();
  count_reply(reply_.status);
  phase_ = phase::writing;
  since_ = now();
  const auto body = method_ == "HEAD"      ? string_view{}
                    : !reply_.file.empty() ? reply_.file
                                           : string_view{reply_.body};
  write_until_ = since_ + limits::write_timeout_ms +
                 static_cast<std::int64_t>(body.size()) * 1000 / limits::http_read_bytes_per_second_least;
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head_), asio::buffer(body.data(), body.size())};
  const auto all_but_noting_progress = [this](const error_code& failed, std::size_t) -> std::size_t {
    since_ = home_->now_ms();
    return failed ? 0 : limits::read_chunk_bytes * 4;
  };
  asio::async_write(socket_, parts, all_but_noting_progress,
                    [self = shared_from_this()](error_code failed, std::size_t size) {
                      self->counts().add_at(metric::sent_bytes,
                                            static_cast<std::size_t>(connection_kind::http), size);
                      self->on_written(failed);
                    });
}

void http_connection::write_head() {
  const auto& with = home_->shared().with;
  allow_origin(reply_, with.settings, origin_);
  head_ = head_of(reply_, {with.time.unix_ms(), request_id_, old_http_, keep_alive_,
                           reply_.page ? with.standing.pages : with.standing.api});
}

void http_connection::log_reply() const {
  if (reply_.status == 500)
    spdlog::error("a request failed inside method={} path={} request={}", method_, path_, request_id_);
  spdlog::debug("http method={} path={} status={} request={}", method_, path_, reply_.status, request_id_);
}

void http_connection::on_written(error_code failed) {
  if (phase_ == phase::over) return;
  if (failed) return finish();
  reply_ = {};
  reply_share_.set(0);
  if (keep_alive_) return next_request();
  linger();
}

// Closing a socket with unread bytes resets it, and the peer may lose the reply.
void http_connection::linger() {
  if (phase_ != phase::lingering) {
    error_code ignored;
    socket_.shutdown(stream_socket::shutdown_send, ignored);
    phase_ = phase::lingering;
    since_ = now();
  }
  in_.clear();
  socket_.async_read_some(in_.prepare(limits::read_chunk_bytes),
                          [self = shared_from_this()](error_code failed, std::size_t) {
                            if (self->phase_ == phase::over) return;
                            if (failed) return self->finish();
                            self->linger();
                          });
}

void http_connection::finish() {
  if (phase_ == phase::over) return;
  phase_ = phase::over;
  if (const auto undecided = std::exchange(stream_, nullptr)) undecided->abandon();
  error_code ignored;
  socket_.close(ignored);
  home_->remove(*this); // which may have been the last to hold it
}

// --- upgrading -----------------------------------------------------------------------------------------

void http_connection::upgrade(request_message request, const target& where) {
  auto& with = home_->shared().with;
  route_ = counts().at(metric::http_request_seconds, "GET /ws");
  if (!is_handshake(request)) {
    auto out = problem({code::invalid_field, "this is no WebSocket handshake of version 13", 0});
    out.headers.emplace_back("Sec-WebSocket-Version", "13");
    return reply(std::move(out));
  }
  ws_start next;
  const auto offered = field(request, http::field::sec_websocket_protocol);
  const bool spoken = has_token(offered, "maru.v1");
  next.protocol = spoken ? "maru.v1" : std::string{first_token(offered)};
  next.ahead.assign(static_cast<const char*>(in_.data().data()), in_.size());
  next.request_id = request_id_;
  const auto token = bearer_token(field(request, http::field::authorization));
  const auto* ticket = where.find("ticket");
  const auto now = with.time.steady_ms();
  auto who = token.empty() && ticket != nullptr ? with.tickets.take(*ticket, now) : std::nullopt;
  if (!who) {
    const auto wait =
        token.empty() ? with.addresses.take_request(from_, now) : with.addresses.wait_with_token(from_, now);
    if (wait > 0) {
      counts().add(metric::http_rate_limited);
      return reply(too_many_requests(wait));
    }
  }
  next.request = std::move(request);
  upgrading_.emplace(std::move(next));
  if (!spoken) return become_websocket(close_code::bad_protocol);
  if (with.draining) return become_websocket(close_code::draining);
  if (who) return become_websocket(std::move(*who));
  if (token.empty()) return become_websocket(close_code::token_refused);
  identify(token, [this](std::variant<actors::identity, refusal> who) {
    if (const auto* why = std::get_if<refusal>(&who)) return become_websocket(close_code_for(*why));
    become_websocket(std::move(std::get<actors::identity>(who)));
  });
}

void http_connection::become_websocket(std::variant<actors::identity, close_code> outcome) {
  // Who was let in while the others were told to go is told, too.
  if (home_->shared().with.draining && std::holds_alternative<actors::identity>(outcome))
    outcome = close_code::draining;
  if (const auto* why = std::get_if<close_code>(&outcome))
    spdlog::info("an upgrade was refused code={} request={}", static_cast<unsigned>(*why), request_id_);
  upgrading_->outcome = std::move(outcome);
  count_reply(101);
  phase_ = phase::over;
  start_websocket(home_, std::move(socket_), std::move(*upgrading_));
  home_->remove(*this);
}

// --- time ----------------------------------------------------------------------------------------------

void http_connection::tick(std::int64_t now_ms) {
  const auto passed = now_ms - since_;
  switch (phase_) {
  case phase::idle:
    if (passed > limits::http_idle_timeout_ms) finish();
    return;
  case phase::reading:
    if (passed > limits::http_request_timeout_ms) finish();
    return;
  case phase::waiting:
    if (passed <= limits::http_reply_timeout_ms) return;
    spdlog::error("no answer from inside method={} path={} request={}", method_, path_, request_id_);
    if (upgrading_) return become_websocket(close_code::overloaded);
    return reply(problem({code::overloaded, "", 0}));
  case phase::writing:
    if (passed > limits::write_timeout_ms || now_ms > write_until_) finish();
    return;
  case phase::lingering:
    if (passed > limits::close_timeout_ms) finish();
    return;
  case phase::over:
    return;
  }
}

void http_connection::drain() {
  keep_alive_ = false;
  if (phase_ == phase::idle) finish();
}

} // namespace

void start_http(std::shared_ptr<worker> home, stream_socket socket) {
  std::make_shared<http_connection>(std::move(home), std::move(socket))->start();
}

} // namespace maru::net
