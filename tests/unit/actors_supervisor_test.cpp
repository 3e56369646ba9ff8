#include "actors/supervisor.hpp"

#include "actors/nursery.hpp"
#include "config/limits.hpp"
#include "tests/support/actor_rig.hpp"
#include "tests/support/catch.hpp"

using namespace maru;
using namespace maru::actors;
using strings = std::vector<std::string>;

namespace {

// Outlives the rig: children tell it of their end.
struct family {
  strings log; // starts and ends, as they happened
  std::map<std::string, caf::strong_actor_ptr> living;
  std::vector<std::string> gave_up;

  // A child that ends when it is told to and says so.
  caf::strong_actor_ptr start(caf::local_actor* parent, const std::string& name) {
    log.push_back("start " + name);
    auto child = parent->spawn(
        [this, name](caf::event_based_actor* self, int) -> caf::behavior {
          self->attach_functor([this, name] { log.push_back("end " + name); });
          return {[](int) {}};
        },
        0);
    living[name] = caf::actor_cast<caf::strong_actor_ptr>(child);
    return living[name];
  }
  child_spec spec(const std::string& name) {
    return {name, [this, name](caf::local_actor* parent) { return start(parent, name); }, true};
  }
};

supervisor_options options_of(test::actor_rig& rig, family& f, const strings& names) {
  supervisor_options out;
  for (const auto& n : names)
    out.children.push_back(f.spec(n));
  out.time = &rig.time();
  out.random = [] { return 0.5; };
  out.gave_up = [&f](std::string why) { f.gave_up.push_back(std::move(why)); };
  return out;
}

nursery_options nursery_of(test::actor_rig& rig, family& f, std::vector<bool>& after_crash) {
  return {"things",
          [&f, &after_crash](caf::local_actor* parent, const std::string& name, bool crashed) {
            after_crash.push_back(crashed);
            return f.start(parent, name);
          },
          &rig.time(), [] { return 0.5; }};
}

void crash(test::actor_rig& rig, const caf::strong_actor_ptr& who) {
  caf::anon_send_exit(who, caf::exit_reason::unhandled_exception);
  rig.settle();
}

} // namespace

TEST_CASE("a supervisor starts its children in order") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a", "b", "c"})));
  rig.settle();
  CHECK(f.log == strings{"start a", "start b", "start c"});
}

TEST_CASE("the supervisor's handle is told before its first child starts") {
  family f;
  tree_actor told;
  std::size_t started_before = 99;
  test::actor_rig rig;
  auto options = options_of(rig, f, {"a"});
  options.before_start = [&](const tree_actor& root) {
    told = root;
    started_before = f.log.size();
  };
  auto root = rig.own(rig.system().spawn(supervisor, std::move(options)));
  rig.settle();
  CHECK(told == root);
  CHECK(started_before == 0);
  told = nullptr;
}

TEST_CASE("when a child crashes, those after it stop in reverse order and all start again in order") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a", "b", "c", "d"})));
  rig.settle();
  f.log.clear();
  crash(rig, f.living["b"]);
  CHECK(f.log == strings{"end b", "end d", "end c"});
  rig.advance(limits::restart_backoff_first_ms);
  CHECK(f.log == strings{"end b", "end d", "end c", "start b", "start c", "start d"});
  const auto tree = rig.ask_now<std::vector<child_health>>(root, tree_atom::value).value.value();
  REQUIRE(tree.size() == 4);
  CHECK(tree[0].restarts == 0);
  CHECK(tree[1].restarts == 1);
  CHECK_FALSE(tree[1].last_error.empty());
  CHECK(tree[3].restarts == 0);
  CHECK(tree[3].running);
}

TEST_CASE("a supervisor gives up when a child crashes too often within the window") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a", "b"})));
  rig.settle();
  for (std::uint32_t i = 0; i < limits::restarts; ++i) {
    crash(rig, f.living["b"]);
    rig.advance(1000);
  }
  CHECK(f.gave_up.empty());
  CHECK(f.log.back() == "start b");
  crash(rig, f.living["b"]);
  REQUIRE(f.gave_up.size() == 1);
  CHECK(f.gave_up[0].find("b ended") != std::string::npos);
  CHECK(f.log.back() == "end a");
  CHECK(rig.ask_now<std::vector<child_health>>(root, tree_atom::value).error);
}

TEST_CASE("crashes that are far apart do not add up") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a"})));
  rig.settle();
  for (std::uint32_t i = 0; i < limits::restarts * 2; ++i) {
    crash(rig, f.living["a"]);
    rig.advance(limits::restart_window_ms / limits::restarts + 100);
  }
  CHECK(f.gave_up.empty());
  CHECK(f.log.back() == "start a");
}

TEST_CASE("a child that cannot be started is tried again, and those after it wait") {
  family f;
  int failures = 2;
  test::actor_rig rig;
  auto options = options_of(rig, f, {"a", "b", "c"});
  options.children[1].start = [&](caf::local_actor* parent) {
    if (failures-- > 0) throw std::runtime_error{"not yet"};
    return f.start(parent, "b");
  };
  auto root = rig.own(rig.system().spawn(supervisor, std::move(options)));
  rig.settle();
  CHECK(f.log == strings{"start a"});
  rig.advance(1000);
  CHECK(f.log == strings{"start a", "start b", "start c"});
}

TEST_CASE("a supervisor that is told to exit stops its children in reverse order") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a", "b"})));
  rig.settle();
  f.log.clear();
  rig.end(root, caf::exit_reason::user_shutdown);
  CHECK(f.log == strings{"end b", "end a"});
  CHECK(f.gave_up.empty());
}

TEST_CASE("a child that ignores its exit is killed") {
  family f;
  test::actor_rig rig;
  auto options = options_of(rig, f, {"a", "b"});
  options.children[1].start = [&f](caf::local_actor* parent) {
    auto child = parent->spawn(
        [&f](caf::event_based_actor* self, int) -> caf::behavior {
          self->set_exit_handler([self](const caf::exit_msg& why) {
            if (why.reason == caf::exit_reason::kill) self->quit(why.reason);
          });
          self->attach_functor([&f] { f.log.push_back("end b"); });
          return {[](int) {}};
        },
        0);
    return caf::actor_cast<caf::strong_actor_ptr>(child);
  };
  auto root = rig.own(rig.system().spawn(supervisor, std::move(options)));
  rig.settle();
  f.log.clear();
  rig.end(root, caf::exit_reason::user_shutdown);
  CHECK(f.log.empty());
  rig.advance(limits::child_stop_ms);
  CHECK(f.log == strings{"end b", "end a"});
}

TEST_CASE("a nursery starts a child once and gives the same one to all") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto n = rig.own(rig.system().spawn(nursery, nursery_of(rig, f, after_crash)));
  const auto first = rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"}).value;
  const auto second = rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"}).value;
  REQUIRE(first);
  CHECK(first == second);
  CHECK(f.log == strings{"start x"});
}

TEST_CASE("after a crash an ask waits for the backoff and the new child is told of the crash, once") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto n = rig.own(rig.system().spawn(nursery, nursery_of(rig, f, after_crash)));
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"});
  crash(rig, f.living["x"]);
  const auto late = rig.ask<caf::strong_actor_ptr>(n, std::string{"x"});
  rig.settle();
  CHECK_FALSE(late->came);
  rig.advance(limits::restart_backoff_first_ms);
  REQUIRE(late->value);
  rig.end(f.living["x"], caf::exit_reason::user_shutdown);
  CHECK(rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"}).value);
  CHECK(after_crash == std::vector<bool>{false, true, false});
}

TEST_CASE("a nursery never gives up on one child, and waits at most the longest backoff") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto n = rig.own(rig.system().spawn(nursery, nursery_of(rig, f, after_crash)));
  for (int i = 0; i < 20; ++i) {
    const auto asked = rig.ask<caf::strong_actor_ptr>(n, std::string{"x"});
    rig.advance(limits::restart_backoff_most_ms);
    REQUIRE(asked->value);
    crash(rig, f.living["x"]);
  }
  const auto tree = rig.ask_now<std::vector<child_health>>(n, tree_atom::value).value.value();
  REQUIRE(tree.size() == 1);
  CHECK(tree[0].restarts == 20);
  CHECK_FALSE(tree[0].running);
}

TEST_CASE("a nursery forgets children that ended in order and those that have been calm") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto n = rig.own(rig.system().spawn(nursery, nursery_of(rig, f, after_crash)));
  const auto rows = [&] { return rig.ask_now<std::vector<child_health>>(n, tree_atom::value).value->size(); };
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"});
  rig.end(f.living["x"], caf::exit_reason::user_shutdown);
  CHECK(rows() == 0);
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"y"});
  crash(rig, f.living["y"]);
  rig.advance(limits::restart_window_ms);
  CHECK(rows() == 1); // its next child has to be told
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"y"});
  rig.end(f.living["y"], caf::exit_reason::user_shutdown);
  CHECK(rows() == 0);
}

TEST_CASE("a nursery ends, with all its children, when many different ones crash") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto n = rig.own(rig.system().spawn(nursery, nursery_of(rig, f, after_crash)));
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"calm"});
  for (std::size_t i = 0; i <= limits::nursery_children_crashed; ++i) {
    CHECK(f.log.back() != "end calm");
    const auto name = std::to_string(i);
    rig.ask_now<caf::strong_actor_ptr>(n, name);
    crash(rig, f.living[name]);
  }
  CHECK(f.log.back() == "end calm");
  CHECK(rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"}).error);
}
