#include "net/budget.hpp"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using namespace maru::net;

TEST_CASE("what connections share never goes over its bound, and a refusal changes nothing",
          "[net][budget]") {
  budget all(100);
  budget::share one(all), other(all);
  CHECK(one.set(60));
  CHECK_FALSE(other.set(41));
  CHECK(all.used() == 60);
  CHECK(other.set(40));
  CHECK_FALSE(one.set(61));
  CHECK(all.used() == 100);
  CHECK(one.set(10));
  CHECK(other.set(90));
  CHECK(all.used() == 100);
}

TEST_CASE("what a connection had is free again when it is gone", "[net][budget]") {
  budget all(100);
  std::optional<budget::share> gone(std::in_place, all);
  CHECK(gone->set(100));
  gone.reset();
  CHECK(all.used() == 0);
}

TEST_CASE("many threads that take and give never hold more together, and leave nothing over",
          "[net][budget]") {
  budget all(1000);
  std::atomic<std::size_t> held{0}; // raised after, lowered before
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 1; t <= 4; ++t)
    threads.emplace_back([&, t] {
      budget::share mine(all);
      for (std::size_t i = 0; i < 20'000; ++i) {
        const auto wish = 1 + i * t % 400;
        if (!mine.set(wish)) continue;
        if ((held += wish) > 1000) over = true;
        held -= wish;
        mine.set(0);
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK_FALSE(over);
  CHECK(all.used() == 0);
}
