#include "base/loop_watch.hpp"

#include <future>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/loop_policy.hpp"
#include "tests/support/catch.hpp"

using namespace maru;

namespace {

struct watched {
  explicit watched(loops& on, std::uint32_t looks_most = 3)
      : watch(on, {1, looks_most, {}, [this](std::string why) { found.push_back(std::move(why)); }}) {}
  std::vector<std::string> found;
  loop_watch watch;
};

// Until the loop has handled all that was posted to it before.
void come_round(loop& where) {
  std::promise<void> came;
  boost::asio::post(where.io(), [&] { came.set_value(); });
  came.get_future().wait();
}

struct blocked_state {
  static inline const char* name = "blocked";
};

} // namespace

TEST_CASE("loops that come round are not found, however long they sleep", "[base][loops]") {
  driven_loops all(2);
  watched w(all.all());
  for (int i = 0; i < 10; ++i) {
    w.watch.look();
    for (std::size_t k = 0; k < 2; ++k)
      come_round(all.all()[k]);
  }
  CHECK(w.found.empty());
}

TEST_CASE("a thread that a socket's handler does not give back is found once, after so many looks",
          "[base][loops]") {
  driven_loops all(2);
  watched w(all.all());
  std::promise<void> began, go_on;
  boost::asio::post(all.all()[1].io(), [&] {
    began.set_value();
    go_on.get_future().wait();
  });
  began.get_future().wait();
  w.watch.look(); // asks
  for (int i = 0; i < 2; ++i) {
    w.watch.look();
    come_round(all.all()[0]);
  }
  CHECK(w.found.empty());
  w.watch.look();
  REQUIRE(w.found.size() == 1);
  CHECK(w.found[0].find("maru.loop1") != std::string::npos);
  CHECK(w.found[0].find("sockets") != std::string::npos);
  come_round(all.all()[0]);
  w.watch.look();
  CHECK(w.found.size() == 1);
  go_on.set_value();
}

TEST_CASE("a thread that an actor does not give back is found with the actor's name", "[base][loops]") {
  loops all(1);
  actors::loop_config cfg(all);
  watched w(all);
  std::promise<void> began, go_on;
  {
    caf::actor_system system(cfg);
    auto body = [&](caf::stateful_actor<blocked_state>*) -> caf::behavior {
      return {[&](int) {
        began.set_value();
        go_on.get_future().wait();
      }};
    };
    caf::anon_send(system.spawn(body), 1);
    began.get_future().wait();
    for (int i = 0; i < 4; ++i)
      w.watch.look();
    go_on.set_value();
  }
  REQUIRE(w.found.size() == 1);
  CHECK(w.found[0].find("blocked") != std::string::npos);
  CHECK(w.found[0].find("actor ") != std::string::npos);
}

TEST_CASE("who watches the actors is watched, too", "[base][loops]") {
  loops none(1);
  std::vector<std::string> found;
  std::uint64_t beat = 1;
  loop_watch watch(none,
                   {1, 2, [&] { return beat; }, [&](std::string why) { found.push_back(std::move(why)); }});
  for (int i = 0; i < 5; ++i) {
    ++beat;
    watch.look();
  }
  // The loop has nobody to drive it; that is another matter.
  std::erase_if(found, [](const auto& why) { return why.find("supervisor") == std::string::npos; });
  CHECK(found.empty());
  for (int i = 0; i < 5; ++i)
    watch.look();
  REQUIRE_FALSE(found.empty());
  CHECK(found.back().find("supervisor") != std::string::npos);
}

TEST_CASE("a thread that hangs with the supervisor on it is named before the supervisor is",
          "[base][loops]") {
  driven_loops all(1);
  std::vector<std::string> found;
  loop_watch watch(all.all(),
                   {1, 2, [] { return 1; }, [&](std::string why) { found.push_back(std::move(why)); }});
  watch.look();
  watch.look(); // the supervisor is late
  come_round(all.all()[0]);
  std::promise<void> began, go_on;
  boost::asio::post(all.all()[0].io(), [&] {
    began.set_value();
    go_on.get_future().wait();
  });
  began.get_future().wait();
  while (found.empty())
    watch.look();
  CHECK(found[0].find("maru.loop0") != std::string::npos);
  go_on.set_value();
}
