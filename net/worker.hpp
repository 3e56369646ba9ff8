#pragma once

// A loop and the connections that live on it. Private to net/.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/loops.hpp"
#include "config/limits.hpp"
#include "net/budget.hpp"
#include "net/routes.hpp"

namespace maru::net {

namespace asio = boost::asio;
using executor = asio::io_context::executor_type;
using stream_socket = asio::basic_stream_socket<asio::generic::stream_protocol, executor>; // TCP or a file

class worker;

// What all workers share.
struct hub {
  hub(actors::front& front, const config::settings& settings, const clock& time, asset_lookup assets,
      std::shared_ptr<const actors::frame_codec> codec, std::shared_ptr<metrics> counts)
      : with{front,
             settings,
             time,
             std::move(assets),
             {},
             {},
             address_limits{settings.limits},
             standing_for(settings),
             std::move(counts)},
        codec(std::move(codec)) {}

  route_context with;
  const std::shared_ptr<const actors::frame_codec> codec;
  std::atomic<std::uint64_t> last_id{0};
  std::atomic<std::size_t> open{0};
  std::atomic<std::size_t> scrapes{0}; // under way
  budget bodies{limits::http_bodies_bytes}, replies{limits::http_replies_bytes};
  std::vector<worker*> workers; // complete before the first runs; for their threads alone
};

// What the connections of a worker hold just now.
struct net_totals {
  std::array<std::uint64_t, 3> open{}; // by connection_kind
  std::uint64_t outbox_bytes = 0, outbox_largest_bytes = 0;
};

// A connection, as its worker sees it. Called on the worker's thread.
class member {
public:
  virtual ~member() = default;
  virtual void tick(std::int64_t now_ms) = 0;
  virtual void count(net_totals& to) const = 0;
  virtual void drain() = 0; // ask it to end
  virtual void cut() = 0;   // end it

private:
  friend class worker;
  std::size_t place_ = 0;
};

class worker : public std::enable_shared_from_this<worker> {
public:
  worker(std::shared_ptr<hub> shared, loop& on) : shared_(std::move(shared)), loop_(on), timer_(on.io()) {}

  asio::io_context& io() { return loop_.io(); }
  hub& shared() { return *shared_; }
  [[nodiscard]] std::int64_t now_ms() const { return now_ms_; } // steady, as of the last tick or read_clock()
  std::int64_t read_clock() { return now_ms_ = shared_->with.time.steady_ms(); }

  // From any thread. After the end nothing is taken any more.
  template <class F>
  void post(F&& f) {
    if (!ended_.load(std::memory_order_acquire)) asio::post(io(), std::forward<F>(f));
  }
  // The same, and on the loop's own thread not before what waits there has had its turn.
  template <class F>
  void post_soon(F&& f) {
    if (loop::here() == &loop_)
      loop_.defer(std::forward<F>(f));
    else
      post(std::forward<F>(f));
  }

  void start_ticking();
  void drain_all();
  void cut_all(std::function<void()> done); // `done` once they are gone and nothing more is called
  void on_tick(std::function<void()> also) { also_ = std::move(also); }

  // On the worker's thread.
  void add(std::shared_ptr<member> one); // and keeps it alive until remove()
  void remove(member& one);
  [[nodiscard]] bool stopping() const { return stopping_; }
  void count(net_totals& to) {
    each([&to](member& one) { one.count(to); });
  }

private:
  // A member may remove itself, which moves the last one, already seen, to its place.
  template <class F>
  void each(F&& call) {
    for (auto i = members_.size(); i-- > 0;) {
      const auto one = members_[i];
      call(*one);
    }
  }
  void tick();

  std::shared_ptr<hub> shared_;
  loop& loop_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             executor>
      timer_;
  std::vector<std::shared_ptr<member>> members_;
  std::function<void()> also_;
  std::int64_t now_ms_ = 0;
  bool stopping_ = false;
  std::atomic<bool> ended_{false};
};

} // namespace maru::net
