#pragma once

// A net::server on a free port with nothing behind it but what a test puts there.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/codec.hpp"
#include "net/server.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/ws_client.hpp"

namespace maru::tests {

class moved_clock final : public clock {
public:
  [[nodiscard]] std::int64_t unix_ms() const override { return 1'700'000'000'000 + now_; }
  [[nodiscard]] std::int64_t steady_ms() const override { return now_; }
  void move(std::int64_t ms) { now_ += ms; }

private:
  std::atomic<std::int64_t> now_{1};
};

// Keeps what it is given, and lets a test wait for it.
class fake_session final : public actors::session_port {
public:
  struct taken {
    actors::frame_in in;
    std::size_t bytes = 0;
  };

  void take(std::uint64_t, actors::frame_in in, std::size_t bytes) override {
    note([&] { taken_.push_back({std::move(in), bytes}); });
  }
  void drained(std::uint64_t) override {
    note([&] { ++drained_; });
  }
  void gone(std::uint64_t) override {
    note([&] { ++gone_; });
  }

  bool wait_taken(std::size_t count) {
    return wait([&] { return taken_.size() >= count; });
  }
  bool wait_drained() {
    return wait([&] { return drained_ > 0; });
  }
  bool wait_gone() {
    return wait([&] { return gone_ > 0; });
  }
  std::vector<taken> all() {
    const std::lock_guard lock{mutex_};
    return taken_;
  }
  int gone_count() {
    const std::lock_guard lock{mutex_};
    return gone_;
  }

private:
  template <class F>
  void note(F change) {
    {
      const std::lock_guard lock{mutex_};
      change();
    }
    changed_.notify_all();
  }
  template <class P>
  bool wait(P is_so) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, is_so);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<taken> taken_;
  int drained_ = 0;
  int gone_ = 0;
};

class fake_front final : public actors::front {
public:
  fake_front();

  void call(std::string token, actors::api::request what, actors::api::replied tell) override {
    tell(on_call(token, what));
  }
  void hello(actors::connection_ptr from, actors::identity who, actors::hello_in hello) override {
    {
      const std::lock_guard lock{mutex_};
      ++hellos;
      who_ = std::move(who);
      said_ = std::move(hello);
      if (attach_at_once) from->attach(session);
      from_ = from;
    }
    changed_.notify_all();
  }
  void observe(actors::observed tell) override {
    if (hold_observers)
      observers.push_back(std::move(tell));
    else
      tell(seen);
  }
  [[nodiscard]] bool ready() const override { return is_ready; }
  [[nodiscard]] bool degraded() const override { return is_degraded; }

  actors::connection_ptr wait_hello();
  actors::identity who() {
    const std::lock_guard lock{mutex_};
    return who_;
  }
  actors::hello_in said() {
    const std::lock_guard lock{mutex_};
    return said_;
  }

  // Set these before the server starts. By default "good" is the token of one user, and nothing else is
  // known.
  std::function<actors::api::reply(const std::string& token, const actors::api::request&)> on_call;
  std::atomic<int> hellos{0};
  std::atomic<bool> is_ready{true};
  std::atomic<bool> is_degraded{false};
  bool attach_at_once = true;
  std::vector<reading> seen{{metric::actors, 1, 0}}; // what observe() tells
  std::atomic<bool> hold_observers{false};
  std::vector<actors::observed> observers;
  std::shared_ptr<fake_session> session = std::make_shared<fake_session>();

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  actors::connection_ptr from_;
  actors::identity who_;
  actors::hello_in said_;
};

struct net_rig {
  net_rig();
  ~net_rig() { server.reset(); }
  void start();

  http_reply get(const std::string& path, const headers& with = {}) {
    return http_request(address, "GET", path, with);
  }
  http_reply post(const std::string& path, const std::string& body, const headers& with = {}) {
    return http_request(address, "POST", path, with, body);
  }
  ws_client socket() { return ws_client{address, "/ws", {bearer("good")}}; }
  actors::connection_ptr greet(ws_client& who); // hello, and its connection

  moved_clock time;
  config::settings settings;
  fake_front front;
  std::map<std::string, std::string> files; // of the built-in client
  std::size_t threads = 2;
  std::unique_ptr<driven_loops> on;
  std::unique_ptr<net::server> server;
  std::shared_ptr<const actors::frame_codec> codec;
  std::string address;
  std::shared_ptr<metrics> counts = std::make_shared<metrics>(metric_names{"1.2.3", {}, net::route_names()});
};

inline constexpr const char* some_id = "01890a5d-ac96-774b-bcce-b302099a8057";
inline constexpr const char* other_id = "01890a5d-ac96-774b-bcce-b302099a8058";
inline uuid id_of(const char* text) { return *uuid::parse(text); }
actors::frame_ptr text_frame(std::string json);

} // namespace maru::tests
