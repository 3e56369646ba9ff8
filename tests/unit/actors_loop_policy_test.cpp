#include "actors/loop_policy.hpp"

#include <future>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include "tests/support/catch.hpp"

using namespace maru;
using namespace maru::actors;

namespace {

constexpr std::chrono::seconds long_enough{60}; // only what never comes takes it

struct job final : caf::resumable, caf::ref_counted {
  resume_result resume(caf::execution_unit*, std::size_t) override { return done; }
  subtype_t subtype() const override { return unspecified; }
  void intrusive_ptr_add_ref_impl() override { ref(); }
  void intrusive_ptr_release_impl() override { deref(); }
};

// Runs `what` on the thread of that loop, which nobody else drives.
void on(loop& where, const std::function<void()>& what) {
  std::thread([&] {
    where.enter();
    what();
  }).join();
}

} // namespace

TEST_CASE("a job stays on the loop where it came up, and follows whom it is done for", "[actors][loops]") {
  loops two(2);
  job_queues queues(two);
  job here, answer;
  on(two[1], [&] { queues.add(&here); });
  CHECK(queues.nothing_for(0));
  CHECK(queues.take(1) == &here);
  {
    const on_behalf_of whom(&two[0]); // a thread that is no loop: the store's, say
    queues.add(&answer);
  }
  CHECK(queues.nothing_for(1));
  CHECK(queues.take(0) == &answer);
}

TEST_CASE("loops of others are nobody's to run actors on", "[actors][loops]") {
  loops two(2), others(2);
  job_queues queues(two);
  job lost;
  on(others[1], [&] { queues.add(&lost); });
  const auto* first = queues.take(0);
  const auto* second = queues.take(1);
  CHECK((first == &lost) != (second == &lost));
}

TEST_CASE("another loop helps where much waits, from the oldest on, and only there", "[actors][loops]") {
  loops two(2);
  job_queues queues(two);
  std::vector<job> jobs(limits::loop_backlog + 1);
  for (std::size_t i = 0; i + 1 < limits::loop_backlog; ++i)
    queues.add(&jobs[i], two[0]);
  CHECK(queues.take_from_others(1) == nullptr);
  queues.add(&jobs[limits::loop_backlog - 1], two[0]);
  CHECK(queues.take_from_others(1) == &jobs[0]);
  CHECK(queues.take_from_others(1) == nullptr);
  CHECK(queues.take_from_others(0) == nullptr); // they are its own
}

TEST_CASE("a loop that sleeps is woken for a job of its own, and to help where much waits",
          "[actors][loops]") {
  loops two(2);
  job_queues queues(two);
  std::vector<job> jobs(limits::loop_backlog + 1);
  const auto sleeping = [&](loop& who) { return std::thread([&who] { who.sleep([] { return true; }); }); };
  const auto asleep = [](loop& who) {
    while (!who.asleep())
      std::this_thread::yield();
  };
  {
    auto thread = sleeping(two[1]);
    asleep(two[1]);
    queues.add(&jobs[0], two[1]);
    thread.join();
  }
  auto thread = sleeping(two[1]);
  asleep(two[1]);
  for (std::size_t i = 1; i < limits::loop_backlog; ++i)
    queues.add(&jobs[i], two[0]);
  CHECK(two[1].asleep());
  queues.add(&jobs[limits::loop_backlog], two[0]);
  thread.join();
}

TEST_CASE("sockets that are always ready leave actors their turn, and actors leave sockets theirs",
          "[actors][loops]") {
  loops all(2);
  loop_config cfg(all);
  std::atomic<bool> over{false};
  std::function<void(loop&)> ready_again = [&](loop& where) {
    boost::asio::post(where.io(), [&] {
      if (!over) ready_again(where);
    });
  };
  for (std::size_t i = 0; i < all.count(); ++i)
    ready_again(all[i]);
  {
    caf::actor_system system(cfg);
    // Each job begets the next, on each loop.
    auto busy = [&over](caf::event_based_actor* self) -> caf::behavior {
      return {[self, &over](int) {
        if (!over) self->send(self, 0);
      }};
    };
    for (std::size_t i = 0; i < 2 * all.count(); ++i)
      caf::anon_send(system.spawn(busy), 0);
    auto echo =
        system.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int x) { return x; }}; });
    caf::scoped_actor self{system};
    int answered = 0;
    for (int i = 0; i < 100; ++i)
      self->request(echo, caf::infinite, i).receive([&](int) { ++answered; }, [](const caf::error&) {});
    CHECK(answered == 100);
    for (std::size_t i = 0; i < all.count(); ++i) {
      std::promise<void> served;
      boost::asio::post(all[i].io(), [&] { served.set_value(); });
      CHECK(served.get_future().wait_for(long_enough) == std::future_status::ready);
    }
    over = true;
  }
}

TEST_CASE("a message that is put off comes, and one to an actor that has ended harms nobody",
          "[actors][loops]") {
  loops all(1);
  loop_config cfg(all);
  caf::actor_system system(cfg);
  caf::scoped_actor self{system};
  auto ends = system.spawn([](caf::event_based_actor* me) -> caf::behavior {
    me->delayed_send(me, std::chrono::milliseconds(1), 1);
    return {[](int) {}, [me](float) { me->quit(); }};
  });
  self->monitor(ends);
  caf::anon_send(ends, 1.0F);
  bool ended = false;
  self->receive([&](const caf::down_msg&) { ended = true; });
  CHECK(ended);
  self->delayed_send(self, std::chrono::milliseconds(2), 7);
  int got = 0;
  self->receive([&](int x) { got = x; });
  CHECK(got == 7);
}
