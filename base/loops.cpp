#include "base/loops.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace maru {
namespace {

namespace asio = boost::asio;

constexpr std::size_t handlers_in_a_row = 256; // where no actors wait for their turn

thread_local loop* mine = nullptr;
thread_local const loop* behalf = nullptr;

// One handler's trouble (memory, most likely) is not the others'.
template <class F>
bool survived(F serve) {
  try {
    return serve() > 0;
  } catch (const std::exception& e) {
    spdlog::error("a network handler failed: {}", e.what());
    return true;
  }
}

} // namespace

struct loop::inside {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{io.get_executor()};
};

loop::loop(std::size_t index) : inside_(std::make_unique<inside>()), index_(index) {}

loop::~loop() = default;

asio::io_context& loop::io() { return inside_->io; }

loop* loop::here() { return mine; }

void loop::enter() {
  mine = this;
  std::string name{"maru.loop"};
  name += std::to_string(index_);
  pthread_setname_np(pthread_self(), name.c_str());
}

void loop::wake() {
  if (asleep_.load() && asleep_.exchange(false)) asio::post(inside_->io, [] {});
}

bool loop::came_round() {
  const bool came = !asked_.exchange(true);
  if (came) asio::post(inside_->io, [this] { asked_ = false; });
  return came;
}

bool loop::settle() {
  if (deferred_.empty()) return false;
  std::swap(deferred_, running_);
  for (auto& task : running_)
    survived([&] {
      task();
      return 1;
    });
  running_.clear();
  return true;
}

bool loop::poll(std::size_t most) {
  now_at({"sockets", 0});
  return survived([this, most] {
    std::size_t served = 0;
    while (served < most && inside_->io.poll_one() > 0)
      ++served;
    return served;
  });
}

void loop::wait() {
  survived([this] { return inside_->io.run_one(); });
}

loops::loops(std::size_t count) {
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i)
    all_.push_back(std::make_unique<loop>(i));
}

loop& loops::near() {
  auto* here = loop::here();
  if (here != nullptr && here->index() < count() && all_[here->index()].get() == here) return *here;
  return *all_[next_.fetch_add(1, std::memory_order_relaxed) % count()];
}

driven_loops::driven_loops(std::size_t count) : all_(count) {
  for (std::size_t i = 0; i < all_.count(); ++i)
    threads_.emplace_back([this, &one = all_[i]] {
      one.enter();
      while (true) {
        const bool settled = one.settle();
        if (one.poll(handlers_in_a_row) || settled) continue;
        if (stopping_) return;
        one.sleep([this] { return !stopping_; });
      }
    });
}

void driven_loops::stop() {
  stopping_ = true;
  for (std::size_t i = 0; i < all_.count(); ++i)
    all_[i].wake();
  for (auto& thread : threads_)
    thread.join();
  threads_.clear();
}

on_behalf_of::on_behalf_of(const loop* whom) { behalf = whom; }
on_behalf_of::~on_behalf_of() { behalf = nullptr; }
const loop* on_behalf_of::whom() { return behalf; }

} // namespace maru
