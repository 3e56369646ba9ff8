#include "base/loops.hpp"

#include <future>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "tests/support/catch.hpp"

using namespace maru;
namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds long_enough{60}; // only what never comes takes it

// Wants its loop again as soon as it has it, until it is told to end.
struct always_ready {
  explicit always_ready(loop& on) : on(on) { again(); }
  void again() {
    asio::post(on.io(), [this] {
      if (!over) return again();
      ended.set_value();
    });
  }
  void end() {
    over = true;
    ended.get_future().wait();
  }
  loop& on;
  std::atomic<bool> over{false};
  std::promise<void> ended;
};

} // namespace

TEST_CASE("a loop serves no more handlers at a time than it is asked to", "[base][loops]") {
  loop one(0);
  int served = 0;
  for (int i = 0; i < 10; ++i)
    asio::post(one.io(), [&] { ++served; });
  CHECK(one.poll(4));
  CHECK(served == 4);
  CHECK(one.poll(100));
  CHECK(served == 10);
  CHECK_FALSE(one.poll(100));
}

TEST_CASE("what is put off runs once, and what it puts off runs the next time", "[base][loops]") {
  loop one(0);
  int first = 0, second = 0;
  one.defer([&] {
    ++first;
    one.defer([&] { ++second; });
  });
  CHECK(one.settle());
  CHECK((first == 1 && second == 0));
  CHECK(one.settle());
  CHECK((first == 1 && second == 1));
  CHECK_FALSE(one.settle());
}

TEST_CASE("a handler that fails costs nobody else anything", "[base][loops]") {
  loop one(0);
  int served = 0;
  asio::post(one.io(), [] { throw std::bad_alloc(); });
  asio::post(one.io(), [&] { ++served; });
  one.defer([] { throw std::bad_alloc(); });
  one.defer([&] { ++served; });
  CHECK(one.poll(10));
  one.poll(10);
  CHECK(one.settle());
  CHECK(served == 2);
}

TEST_CASE("a socket that is always ready leaves what was put off its turn", "[base][loops]") {
  driven_loops driven(1);
  auto& one = driven.all()[0];
  always_ready greedy(one);
  std::promise<void> done;
  asio::post(one.io(), [&] { one.defer([&] { done.set_value(); }); });
  CHECK(done.get_future().wait_for(long_enough) == std::future_status::ready);
  greedy.end();
}

TEST_CASE("no call to wake is missed, whether sleep has begun or is about to", "[base][loops]") {
  constexpr int rounds = 20'000;
  loop one(0);
  std::atomic<int> wanted{0}, seen{0};
  std::promise<void> done;
  std::thread sleeper([&] {
    while (seen < rounds) {
      if (wanted > seen)
        ++seen;
      else
        one.sleep([&] { return wanted == seen; });
    }
    done.set_value();
  });
  std::thread waker([&] {
    for (int i = 1; i <= rounds; ++i) {
      wanted = i;
      one.wake();
      while (seen < i)
        std::this_thread::yield();
    }
  });
  const bool none_missed = done.get_future().wait_for(long_enough) == std::future_status::ready;
  CHECK(none_missed);
  seen = rounds; // lets both go
  asio::post(one.io(), [] {});
  waker.join();
  sleeper.join();
}

TEST_CASE("near is the loop whose thread asks, and elsewhere each in its turn", "[base][loops]") {
  driven_loops driven(3);
  loops others(2);
  auto& all = driven.all();
  for (std::size_t i = 0; i < all.count(); ++i) {
    std::promise<std::pair<loop*, loop*>> got;
    asio::post(all[i].io(), [&] { got.set_value({&all.near(), &others.near()}); });
    const auto [own, foreign] = got.get_future().get();
    CHECK(own == &all[i]);
    CHECK((foreign == &others[0] || foreign == &others[1]));
  }
  auto& first = all.near();
  auto& second = all.near();
  auto& third = all.near();
  CHECK((&first != &second && &second != &third && &third != &first));
  CHECK(&all.near() == &first);
}

TEST_CASE("loops that end still serve what was ready", "[base][loops]") {
  std::atomic<int> served{0};
  {
    driven_loops driven(2);
    for (std::size_t i = 0; i < 1000; ++i)
      asio::post(driven.all()[i % 2].io(), [&] { ++served; });
  }
  CHECK(served == 1000);
}
