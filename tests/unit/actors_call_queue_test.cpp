// Which model calls run and which wait: bounds, fair turns, and providers that rest.

#include "actors/call_queue.hpp"

#include <algorithm>

#include "config/limits.hpp"
#include "tests/support/catch.hpp"

using namespace maru;
using actors::call_health;

namespace {

using numbers = std::vector<std::uint64_t>;

uuid person(unsigned char which) {
  uuid id;
  id.bytes[15] = which;
  return id;
}

struct queue_kit {
  config::settings settings;
  std::shared_ptr<actors::call_loads> loads = std::make_shared<actors::call_loads>();
  std::shared_ptr<metrics> counts = std::make_shared<metrics>();
  std::optional<actors::call_queue> queue;
  std::uint64_t last = 0;
  std::int64_t now = 1'000;

  explicit queue_kit(std::uint32_t calls) {
    for (const auto* name : {"near", "far"}) {
      config::provider_settings p;
      p.name = name;
      p.calls = calls;
      p.rest_after = 3;
      p.rest_first_ms = 100;
      p.rest_most_ms = 300;
      settings.providers.push_back(p);
    }
    settings.agents.push_back({"maru", {"near"}, "m", "", 100, 0, 0});
    settings.limits.calls_per_user = 0;
  }
  actors::call_queue& open() {
    if (!queue) queue.emplace(settings, loads, counts);
    return *queue;
  }
  std::uint64_t add(unsigned char user, actors::call_wish what = {}) {
    what.user = person(user);
    if (what.provider.empty()) what.provider = "near";
    if (what.agent.empty()) what.agent = "maru";
    open().add(++last, std::move(what));
    return last;
  }
  numbers run() { return open().next(now).run; }
  void end(std::uint64_t number, call_health how = call_health::well) {
    open().judge(number, how, now);
    open().remove(number, now);
  }
};

} // namespace

TEST_CASE("of one provider no more calls run than its bound says", "[unit][calls]") {
  queue_kit k{2};
  for (int i = 0; i < 4; ++i)
    k.add(1);
  CHECK(k.run() == numbers{1, 2});
  CHECK(k.run().empty());
  k.end(1);
  CHECK(k.run() == numbers{3});
}

TEST_CASE("a person has no more calls running than theirs, and others pass them", "[unit][calls]") {
  queue_kit k{10};
  k.settings.limits.calls_per_user = 1;
  k.add(1);
  k.add(1);
  k.add(2);
  CHECK(k.run() == numbers{1, 3});
  k.end(1);
  CHECK(k.run() == numbers{2});
}

TEST_CASE("an agent has no more calls running than its bound says, with whatever provider", "[unit][calls]") {
  queue_kit k{10};
  k.settings.agents[0].calls = 1;
  k.add(1);
  actors::call_wish elsewhere, by_another;
  elsewhere.provider = "far";
  by_another.agent = "other";
  k.add(2, elsewhere);
  k.add(3, by_another);
  CHECK(k.run() == numbers{2, 3});
  k.end(2);
  CHECK(k.run() == numbers{1});
}

TEST_CASE("who asks much waits behind their own questions, not others behind them", "[unit][calls]") {
  queue_kit k{1};
  for (int i = 0; i < 4; ++i)
    k.add(1); // 1 to 4
  CHECK(k.run() == numbers{1});
  k.add(2); // 5
  k.add(2); // 6
  numbers order;
  for (auto running = std::uint64_t{1}; order.size() < 5; running = order.back()) {
    k.end(running);
    const auto next = k.run();
    REQUIRE(next.size() == 1);
    order.push_back(next[0]);
  }
  CHECK(order == numbers{5, 2, 6, 3, 4});
}

TEST_CASE("who comes back at once after each answer does not keep others waiting", "[unit][calls]") {
  queue_kit k{1};
  const auto first = k.add(9);
  k.run();
  for (int i = 0; i < 3; ++i)
    k.add(1);
  auto eager = k.add(2);
  std::vector<bool> eager_runs;
  for (auto running = first; eager_runs.size() < 6;) {
    k.end(running);
    const auto next = k.run();
    REQUIRE(next.size() == 1);
    running = next[0];
    eager_runs.push_back(running == eager);
    if (running == eager) eager = k.add(2);
  }
  CHECK(std::ranges::count(eager_runs, true) == 3);
}

TEST_CASE("places are told from 1 and again when they change", "[unit][calls]") {
  queue_kit k{1};
  k.add(1);
  k.run();
  for (unsigned char user = 2; user < 5; ++user)
    k.add(user);
  using places = std::vector<std::pair<std::uint64_t, std::uint32_t>>;
  CHECK(k.open().moved() == places{{2, 1}, {3, 2}, {4, 3}});
  CHECK(k.open().moved().empty());
  CHECK(k.open().position(3) == 2);
  k.open().remove(2, k.now); // stopped while it waited
  CHECK(k.open().moved() == places{{3, 1}, {4, 2}});
  CHECK(k.open().position(1) == 0);
}

TEST_CASE("of those that wait the first hundred are told their place", "[unit][calls]") {
  queue_kit k{1};
  for (std::uint32_t i = 0; i < limits::positions_told + 10; ++i)
    k.add(1);
  k.run();
  CHECK(k.open().moved().size() == limits::positions_told);
}

TEST_CASE("of what was lost with many processes one runs at a time", "[unit][calls]") {
  queue_kit k{10};
  actors::call_wish suspect;
  suspect.suspect = true;
  k.add(1, suspect);
  k.add(2, suspect);
  k.add(3);
  CHECK(k.run() == numbers{1, 3});
  k.end(1);
  CHECK(k.run() == numbers{2});
}

TEST_CASE("a provider that fails again and again rests, then one call tries it", "[unit][calls]") {
  queue_kit k{10};
  for (int i = 0; i < 3; ++i) {
    const auto number = k.add(1);
    k.run();
    k.end(number, call_health::ill);
  }
  k.add(1);
  k.add(2);
  CHECK(k.run().empty());
  CHECK(k.open().wake_at(k.now) == k.now + 100);
  k.now += 100;
  CHECK(k.run() == numbers{4});
  CHECK(k.open().tries(4));
  CHECK(k.run().empty());

  SECTION("its words end the rest") {
    k.open().judge(4, call_health::well, k.now);
    CHECK(k.run() == numbers{5});
  }
  SECTION("its failure makes the rest longer, up to the longest") {
    k.end(4, call_health::ill);
    CHECK(k.open().wake_at(k.now) == k.now + 200);
    k.now += 200;
    CHECK(k.run() == numbers{5});
    k.add(1);
    k.end(5, call_health::ill);
    CHECK(k.open().wake_at(k.now) == k.now + 300);
  }
  SECTION("stopped before it said anything, the next one tries") {
    k.open().remove(4, k.now);
    CHECK(k.run() == numbers{5});
  }
}

TEST_CASE("a success between failures counts them anew", "[unit][calls]") {
  queue_kit k{10};
  for (int i = 0; i < 6; ++i)
    k.end(k.add(1), i % 2 == 0 ? call_health::ill : call_health::well);
  k.add(1);
  CHECK(k.run().size() == 1);
}

TEST_CASE("calls that have another provider leave one that rests, and come back from one that does",
          "[unit][calls]") {
  queue_kit k{1};
  k.settings.providers[1].rest_first_ms = k.settings.providers[1].rest_most_ms = 1'000;
  actors::call_wish either;
  either.others = {"far"};
  either.may_leave = true;
  const auto running = k.add(1);
  k.run();
  const auto waits = k.add(2, either);
  const auto stays = k.add(3);
  k.run();
  for (int i = 0; i < 3; ++i)
    k.open().judge(running, call_health::ill, k.now);
  k.open().remove(running, k.now);
  const auto news = k.open().next(k.now);
  CHECK(news.run.empty());
  CHECK(news.elsewhere == numbers{waits});
  CHECK(k.open().position(stays) == 1);

  // At the other one it does not know of a third; when the first is used again, it is sent back.
  either.may_leave = false;
  either.others = {"near"};
  either.provider = "far";
  const auto there = k.add(2, either);
  k.run();
  for (int i = 0; i < 3; ++i)
    k.open().judge(there, call_health::ill, k.now);
  k.open().remove(there, k.now);
  const auto parked = k.add(2, either);
  CHECK(k.open().next(k.now).elsewhere.empty());
  k.now += 100;
  REQUIRE(k.run() == numbers{stays});
  k.open().judge(stays, call_health::well, k.now);
  CHECK(k.open().next(k.now).elsewhere == numbers{parked});
}

TEST_CASE("who gives up what waits is not put behind others for it", "[unit][calls]") {
  queue_kit k{1};
  const auto running = k.add(9);
  k.run();
  for (int i = 0; i < 3; ++i)
    k.add(2);
  for (int i = 0; i < 20; ++i)
    k.open().remove(k.add(1), k.now);
  const auto last = k.add(1);
  k.end(running);
  const auto first = k.run();
  REQUIRE(first.size() == 1);
  k.end(first[0]);
  const auto second = k.run();
  REQUIRE(second.size() == 1);
  k.end(second[0]);
  CHECK(k.run() == numbers{last}); // a round behind, not twenty
}

TEST_CASE("while there is place at a provider, what other bounds hold back does not make it busy",
          "[unit][calls]") {
  queue_kit k{10};
  k.settings.agents[0].calls = 1;
  for (unsigned char user = 1; user < 5; ++user)
    k.add(user);
  k.run();
  CHECK(k.loads->providers["near"].waiting == 0);
  CHECK(k.loads->agents["maru"].waiting == 3);
}

TEST_CASE("nobody is woken for a provider whose rest is over while bounds hold back who waits for it",
          "[unit][calls]") {
  queue_kit k{10};
  k.settings.limits.calls_per_user = 1;
  for (int i = 0; i < 3; ++i) {
    const auto number = k.add(2);
    k.run();
    k.end(number, call_health::ill);
  }
  k.run();
  CHECK(k.loads->providers["near"].rests);
  actors::call_wish there;
  there.provider = "far";
  k.add(1, there);
  k.run();
  k.add(1);
  k.run();
  CHECK(k.open().wake_at(k.now) == k.now + 100);
  k.now += 100;
  CHECK(k.run().empty());
  CHECK_FALSE(k.open().wake_at(k.now));
}

TEST_CASE("a provider that is used again moves only those who have it", "[unit][calls]") {
  queue_kit k{10};
  for (const auto* name : {"near", "far"})
    for (int i = 0; i < 3; ++i) {
      actors::call_wish what;
      what.provider = name;
      const auto number = k.add(1, what);
      k.run();
      k.end(number, call_health::ill);
    }
  actors::call_wish other;
  other.others = {"third"};
  const auto stays = k.add(1, other);
  k.run();
  actors::call_wish there;
  there.provider = "far";
  k.settings.providers[1].rest_first_ms = 1;
  const auto tries = k.add(2, there);
  k.now += 99;
  k.run();
  k.open().judge(tries, call_health::well, k.now);
  CHECK(k.open().next(k.now).elsewhere.empty());
  CHECK(k.open().position(stays) == 1);
}

TEST_CASE("how busy a provider is can be read, and is over with the queue", "[unit][calls]") {
  queue_kit k{1};
  k.add(1);
  k.run();
  k.add(2);
  k.add(3);
  k.run();
  CHECK(k.loads->providers["near"].waiting == 2);
  k.now += 30'000;
  k.end(1);
  k.run();
  CHECK(k.loads->providers["near"].waiting == 1);
  CHECK(k.loads->providers["near"].wait_ms >= 30'000);
  CHECK(k.loads->providers["near"].wait_ms <= limits::call_wait_told_most_ms);
  k.queue.reset();
  CHECK(k.loads->providers["near"].waiting == 0);
}
