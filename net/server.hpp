#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/wire.hpp"
#include "base/clock.hpp"
#include "base/loops.hpp"
#include "base/metrics.hpp"
#include "config/settings.hpp"
#include "net/assets.hpp"

namespace maru::net {

// How requests are told apart where they are counted: methods and patterns, no path of anybody's.
std::vector<std::string> route_names();

struct server_deps {
  actors::front& front;             // outlives the server
  const config::settings& settings; // outlives the server
  const clock& time;
  std::shared_ptr<const actors::frame_codec> codec;
  asset_lookup embedded; // the built-in browser client; empty: none
  loops& on;             // are driven until the server has stopped
  std::shared_ptr<metrics> counts = std::make_shared<metrics>(metric_names{"", {}, route_names()});
};

// All listeners and their connections. Call its functions from one thread, that of none of the loops.
class server {
public:
  explicit server(server_deps deps);
  ~server(); // stops
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  void start(); // throws std::runtime_error, saying what is wrong with which address
  [[nodiscard]] std::vector<std::string> addresses() const; // with the real ports
  [[nodiscard]] std::size_t connections() const;
  // Takes no more connections, says goodbye to those there are. `done` is called once, on a thread of the
  // server, when all are gone or settings.server.drain_ms has passed.
  void drain(std::function<void()> done);
  void stop(); // cuts what is left; call it before the front goes

private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

} // namespace maru::net
