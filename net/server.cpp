#include "net/server.hpp"

#include <latch>
#include <stdexcept>
#include <utility>

#include <spdlog/spdlog.h>

#include "config/limits.hpp"
#include "net/http_connection.hpp"
#include "net/listener.hpp"
#include "net/worker.hpp"

namespace maru::net {
namespace {

using boost::system::error_code;

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

} // namespace

struct server::inside {
  explicit inside(server_deps given) : deps(std::move(given)) {}

  void accept(const std::shared_ptr<listener>& at);
  void accepted(const std::shared_ptr<listener>& at, const std::shared_ptr<worker>& to, error_code failed,
                stream_socket socket);
  void close_listeners();
  void look_whether_drained();

  server_deps deps;
  std::shared_ptr<hub> shared;
  std::vector<std::shared_ptr<worker>> workers;
  std::vector<std::shared_ptr<listener>> listeners;

  bool started = false;

  // On the first worker's thread.
  std::size_t next_worker = 0;
  std::function<void()> drained;
  std::int64_t drain_until_ms = 0;
};

void server::inside::accept(const std::shared_ptr<listener>& at) {
  if (!at->socket.is_open()) return;
  const auto to = workers[next_worker++ % workers.size()];
  at->socket.async_accept(to->io(), [this, at, to](error_code failed, stream_socket socket) {
    accepted(at, to, failed, std::move(socket));
  });
}

void server::inside::accepted(const std::shared_ptr<listener>& at, const std::shared_ptr<worker>& to,
                              error_code failed, stream_socket socket) {
  if (!failed) {
    at->complained = false;
    to->post([to, socket = std::move(socket)]() mutable { start_http(to, std::move(socket)); });
    return accept(at);
  }
  if (failed == asio::error::operation_aborted) return;
  deps.counts->add(metric::accept_failures);
  if (failed == asio::error::connection_aborted) return accept(at);
  if (!std::exchange(at->complained, true))
    spdlog::error("cannot accept connections address={} reason={}", at->name, failed.message());
  at->pause.expires_after(std::chrono::milliseconds{limits::accept_pause_ms});
  at->pause.async_wait([this, at](error_code stopped) {
    if (!stopped) accept(at);
  });
}

void server::inside::close_listeners() {
  for (const auto& one : listeners)
    one->close();
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
    in.listeners.push_back(std::make_shared<listener>(in.workers.front()->io(), address));
  in.workers.front()->on_tick([&in] { in.look_whether_drained(); });
  in.started = true;
  for (const auto& one : in.workers)
    one->post([one] { one->start_ticking(); });
  in.workers.front()->post([&in] {
    for (const auto& one : in.listeners)
      in.accept(one);
  });
}

std::vector<std::string> server::addresses() const {
  std::vector<std::string> out;
  for (const auto& one : inside_->listeners)
    out.push_back(one->name);
  return out;
}

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
