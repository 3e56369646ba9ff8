#pragma once

// The threads that work. Each serves its sockets and runs actors in turn: what a frame or a piece of an
// answer causes is done where it came in, and no other thread is woken for it. Whoever drives a loop (the
// actors' scheduler, or `driven_loops`) calls the second half of its functions, on one thread.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace maru {

class loop {
public:
  explicit loop(std::size_t index);
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] boost::asio::io_context& io();
  // The loop whose thread this is; null elsewhere.
  static loop* here();

  // On its own thread: `task` runs once no actor waits to run, or soon.
  void defer(std::function<void()> task) { deferred_.push_back(std::move(task)); }
  // From any thread: ends its sleep.
  void wake();
  [[nodiscard]] bool asleep() const { return asleep_.load(); }

  // What the thread is at: it tells, others may read. `what` lives for ever.
  struct activity {
    const char* what = "nothing";
    std::uint64_t actor = 0; // 0: none
  };
  void now_at(activity now) {
    what_.store(now.what, std::memory_order_relaxed);
    actor_.store(now.actor, std::memory_order_relaxed);
  }
  [[nodiscard]] activity last_at() const {
    return {what_.load(std::memory_order_relaxed), actor_.load(std::memory_order_relaxed)};
  }
  // From one other thread: whether the loop has come round to its sockets since it was asked last.
  bool came_round();

  void enter();  // this thread is the loop's from now on
  bool settle(); // runs what was deferred; false: nothing was
  // Serves what is ready, `most` handlers of it: who is always ready must not have it all. False: nothing
  // was.
  bool poll(std::size_t most);
  // Until something is ready or wake(); not at all unless `nothing_waits`, which is asked after others can
  // see that they have to wake it.
  template <class F>
  void sleep(F nothing_waits) {
    asleep_.store(true);
    if (nothing_waits()) wait();
    asleep_.store(false);
  }

private:
  void wait();

  struct inside;
  std::unique_ptr<inside> inside_;
  std::vector<std::function<void()>> deferred_, running_;
  const std::size_t index_;
  std::atomic<bool> asleep_{false}, asked_{false};
  std::atomic<const char*> what_{"nothing"};
  std::atomic<std::uint64_t> actor_{0};
};

class loops {
public:
  explicit loops(std::size_t count); // 0: one for each core

  [[nodiscard]] std::size_t count() const { return all_.size(); }
  loop& operator[](std::size_t i) { return *all_[i]; }
  // The caller's own if it is one of these, else the next in turn.
  loop& near();

private:
  std::vector<std::unique_ptr<loop>> all_;
  std::atomic<std::size_t> next_{0};
};

// Loops with threads of their own, where no actors run.
class driven_loops {
public:
  explicit driven_loops(std::size_t count);
  ~driven_loops() { stop(); }
  driven_loops(const driven_loops&) = delete;
  driven_loops& operator=(const driven_loops&) = delete;

  loops& all() { return all_; }
  void stop(); // what is ready is still served

private:
  loops all_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

// While it lives, what this thread gives to actors runs on that loop: where it was asked for.
class on_behalf_of {
public:
  explicit on_behalf_of(const loop* whom);
  ~on_behalf_of();
  on_behalf_of(const on_behalf_of&) = delete;
  on_behalf_of& operator=(const on_behalf_of&) = delete;
  static const loop* whom();
};

} // namespace maru
