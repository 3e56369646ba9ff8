#include "net/server.hpp"

#include <latch>
#include <stdexcept>
#include <utility>

#include <boost/asio/ip/v6_only.hpp>
#include <spdlog/spdlog.h>

#include "config/address.hpp"
#include "config/limits.hpp"
#include "net/http_connection.hpp"
#include "net/worker.hpp"

namespace maru::net {
namespace {

using asio::ip::tcp;
using boost::system::error_code;
using acceptor = asio::basic_socket_acceptor<tcp, executor>;

tcp::endpoint endpoint_of(const std::string& text) {
  const auto where = config::parse_address(text);
  if (!where)
    throw std::runtime_error("cannot listen on " + text + ": it must be " +
                             std::string{config::address_forms});
  if (where->local_socket())
    throw std::runtime_error("cannot listen on " + text + ": socket files are not taken by this version");
  const auto host = where->host == "localhost" ? "127.0.0.1" : where->host;
  return {asio::ip::make_address(host), where->port};
}

asset_lookup chosen_assets(const config::settings& settings, asset_lookup embedded) {
  const auto& from = settings.server.static_dir;
  if (from == "off") return {};
  if (from.empty()) return embedded;
  try {
    return assets_in(from);
  } catch (const std::exception& e) {
    throw std::runtime_error("server.static: " + std::string{e.what()});
  }
}

// An acceptor and what it needs to go on after an error. Lives on the first worker's thread.
struct listener {
  listener(asio::io_context& io, tcp::endpoint at) : socket(io), pause(io), where(std::move(at)) {}

  acceptor socket;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             executor>
      pause;
  tcp::endpoint where;
  bool complained = false;
};

std::string text_of(const tcp::endpoint& at) {
  const auto host = at.address().is_v6() ? "[" + at.address().to_string() + "]" : at.address().to_string();
  return host + ":" + std::to_string(at.port());
}

} // namespace

struct server::inside {
  explicit inside(server_deps given) : deps(std::move(given)) {}

  void open(const std::string& address);
  void accept(const std::shared_ptr<listener>& at);
  void accepted(const std::shared_ptr<listener>& at, const std::shared_ptr<worker>& to, error_code failed,
                tcp_socket socket);
  void close_listeners();
  void look_whether_drained();

  server_deps deps;
  std::shared_ptr<hub> shared;
  std::vector<std::shared_ptr<worker>> workers;
  std::vector<std::shared_ptr<listener>> listeners;
  std::vector<std::string> addresses;

  bool started = false;

  // On the first worker's thread.
  std::size_t next_worker = 0;
  std::function<void()> drained;
  std::int64_t drain_until_ms = 0;
};

void server::inside::open(const std::string& address) {
  const auto where = endpoint_of(address);
  auto made = std::make_shared<listener>(workers.front()->io(), where);
  try {
    made->socket.open(where.protocol());
    made->socket.set_option(tcp::acceptor::reuse_address{true});
    if (where.address().is_v6()) made->socket.set_option(asio::ip::v6_only{true});
    made->socket.bind(where);
    made->socket.listen();
    addresses.push_back(text_of(made->socket.local_endpoint()));
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("cannot listen on " + address + ": " + e.code().message());
  }
  listeners.push_back(std::move(made));
}

void server::inside::accept(const std::shared_ptr<listener>& at) {
  if (!at->socket.is_open()) return;
  const auto to = workers[next_worker++ % workers.size()];
  at->socket.async_accept(to->io(), [this, at, to](error_code failed, tcp_socket socket) {
    accepted(at, to, failed, std::move(socket));
  });
}

void server::inside::accepted(const std::shared_ptr<listener>& at, const std::shared_ptr<worker>& to,
                              error_code failed, tcp_socket socket) {
  if (!failed) {
    at->complained = false;
    to->post([to, socket = std::move(socket)]() mutable { start_http(to, std::move(socket)); });
    return accept(at);
  }
  if (failed == asio::error::operation_aborted) return;
  deps.counts->add(metric::accept_failures);
  if (failed == asio::error::connection_aborted) return accept(at);
  if (!std::exchange(at->complained, true))
    spdlog::error("cannot accept connections address={} reason={}", text_of(at->where), failed.message());
  at->pause.expires_after(std::chrono::milliseconds{limits::accept_pause_ms});
  at->pause.async_wait([this, at](error_code stopped) {
    if (!stopped) accept(at);
  });
}

void server::inside::close_listeners() {
  error_code ignored;
  for (const auto& one : listeners) {
    one->socket.close(ignored);
    one->pause.cancel();
  }
}

void server::inside::look_whether_drained() {
  if (!drained || (shared->open > 0 && workers.front()->now_ms() < drain_until_ms)) return;
  std::exchange(drained, nullptr)();
}

server::server(server_deps deps) : inside_(std::make_unique<inside>(std::move(deps))) {}

server::~server() { stop(); }

void server::start() {
  auto& in = *inside_;
  const auto& settings = in.deps.settings;
  in.shared = std::make_shared<hub>(in.deps.front, settings, in.deps.time,
                                    chosen_assets(settings, in.deps.embedded), in.deps.codec, in.deps.counts);
  for (std::size_t i = 0; i < in.deps.on.count(); ++i)
    in.workers.push_back(std::make_shared<worker>(in.shared, in.deps.on[i]));
  for (const auto& one : in.workers)
    in.shared->workers.push_back(one.get());
  for (const auto& address : settings.server.listen)
    in.open(address);
  in.workers.front()->on_tick([&in] { in.look_whether_drained(); });
  in.started = true;
  for (const auto& one : in.workers)
    one->post([one] { one->start_ticking(); });
  in.workers.front()->post([&in] {
    for (const auto& one : in.listeners)
      in.accept(one);
  });
}

std::vector<std::string> server::addresses() const { return inside_->addresses; }

std::size_t server::connections() const { return inside_->shared ? inside_->shared->open.load() : 0; }

void server::drain(std::function<void()> done) {
  auto& in = *inside_;
  in.shared->with.draining = true;
  in.workers.front()->post([&in, done = std::move(done)]() mutable {
    in.close_listeners();
    in.drained = std::move(done);
    in.drain_until_ms = in.workers.front()->read_clock() + in.deps.settings.server.drain_ms;
    for (const auto& one : in.workers)
      one->post([one] { one->drain_all(); });
  });
}

void server::stop() {
  auto& in = *inside_;
  if (!std::exchange(in.started, false)) return;
  in.shared->with.draining = true;
  std::latch cut(static_cast<std::ptrdiff_t>(in.workers.size()));
  in.workers.front()->post([&in] { in.close_listeners(); });
  for (const auto& one : in.workers)
    one->post([one, &cut] { one->cut_all([&cut] { cut.count_down(); }); });
  cut.wait();
  in.listeners.clear();
}

} // namespace maru::net
