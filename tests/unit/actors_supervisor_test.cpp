#include "actors/supervisor.hpp"

#include <caf/scoped_actor.hpp>

#include "actors/common.hpp"
#include "actors/nursery.hpp"
#include "config/limits.hpp"
#include "tests/support/actor_rig.hpp"
#include "tests/support/catch.hpp"

using namespace maru;
using namespace maru::actors;
using strings = std::vector<std::string>;

namespace {

const config::supervision_settings usual;
const std::int64_t period_ms = std::int64_t{usual.root.period_seconds} * 1000;

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
          end_on_exception(self, name);
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
  nursery_options out;
  out.name = "things";
  out.start = [&f, &after_crash](caf::local_actor* parent, const std::string& name, bool crashed) {
    after_crash.push_back(crashed);
    return f.start(parent, name);
  };
  out.time = &rig.time();
  out.random = [] { return 0.5; };
  return out;
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
  rig.advance(usual.backoff_first_ms);
  CHECK(f.log == strings{"end b", "end d", "end c", "start b", "start c", "start d"});
  const auto tree = rig.ask_now<root_health>(root, tree_atom::value).value.value().children;
  REQUIRE(tree.size() == 4);
  CHECK(tree[0].restarts == 0);
  CHECK(tree[1].restarts == 1);
  CHECK_FALSE(tree[1].last_error.empty());
  CHECK(tree[3].restarts == 0);
  CHECK(tree[3].state == child_state::running);
}

TEST_CASE("a supervisor gives up when a child crashes too often within the window") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a", "b"})));
  rig.settle();
  for (std::uint32_t i = 0; i < usual.root.restarts; ++i) {
    crash(rig, f.living["b"]);
    rig.advance(1000);
  }
  CHECK(f.gave_up.empty());
  CHECK(f.log.back() == "start b");
  crash(rig, f.living["b"]);
  REQUIRE(f.gave_up.size() == 1);
  CHECK(f.gave_up[0].starts_with("b fell 6 times within 10 s; last error: "));
  // What still runs goes on until the process ends it, so that its clients hear of that.
  CHECK(f.living["a"]);
  rig.advance(period_ms);
  CHECK(f.log.back() == "end b");
  rig.end(root, caf::exit_reason::user_shutdown);
  CHECK(f.gave_up.size() == 1);
  CHECK(f.log.back() == "end a");
  CHECK(rig.ask_now<root_health>(root, tree_atom::value).error);
}

TEST_CASE("crashes that are far apart do not add up") {
  family f;
  test::actor_rig rig;
  auto root = rig.own(rig.system().spawn(supervisor, options_of(rig, f, {"a"})));
  rig.settle();
  for (std::uint32_t i = 0; i < usual.root.restarts * 2; ++i) {
    crash(rig, f.living["a"]);
    rig.advance(period_ms / usual.root.restarts + 100);
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
  rig.advance(usual.backoff_first_ms);
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
    rig.advance(usual.backoff_most_ms);
    REQUIRE(asked->value);
    crash(rig, f.living["x"]);
  }
  const auto tree = rig.ask_now<nursery_health>(n, tree_atom::value).value.value().children;
  REQUIRE(tree.size() == 1);
  CHECK(tree[0].restarts == 20);
  CHECK(tree[0].state == child_state::backing_off);
}

TEST_CASE("a nursery forgets children that ended in order and those that have been calm") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto n = rig.own(rig.system().spawn(nursery, nursery_of(rig, f, after_crash)));
  const auto rows = [&] { return rig.ask_now<nursery_health>(n, tree_atom::value).value->children.size(); };
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"});
  rig.end(f.living["x"], caf::exit_reason::user_shutdown);
  CHECK(rows() == 0);
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"y"});
  crash(rig, f.living["y"]);
  rig.advance(period_ms);
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
  for (std::size_t i = 0; i <= usual.rooms.restarts; ++i) {
    CHECK(f.log.back() != "end calm");
    const auto name = std::to_string(i);
    rig.ask_now<caf::strong_actor_ptr>(n, name);
    crash(rig, f.living[name]);
  }
  CHECK(f.log.back() == "end calm");
  CHECK(rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"}).error);
}

// --- children that live and do not answer
// --------------------------------------------------------------------

namespace {

constexpr std::int64_t long_ms = 180'000;

// Takes probes and gives no answer; ends when it is told to.
caf::strong_actor_ptr start_mute(caf::local_actor* parent, family& f, const std::string& name) {
  f.log.push_back("start " + name);
  auto child = parent->spawn(
      [&f, name](caf::event_based_actor* self, int) -> caf::behavior {
        self->attach_functor([&f, name] { f.log.push_back("end " + name); });
        const auto kept = std::make_shared<std::vector<caf::response_promise>>();
        return {[self, kept](probe_atom) {
          kept->push_back(self->make_response_promise());
          return kept->back();
        }};
      },
      0);
  return caf::actor_cast<caf::strong_actor_ptr>(child);
}

} // namespace

TEST_CASE("a child of the root that answers nothing is replaced, and that is its last error") {
  family f;
  test::actor_rig rig;
  auto options = options_of(rig, f, {"a", "b", "c"});
  bool mute = true;
  options.children[1].start = [&](caf::local_actor* parent) {
    return std::exchange(mute, false) ? start_mute(parent, f, "b") : f.start(parent, "b");
  };
  auto root = rig.own(rig.system().spawn(supervisor, std::move(options)));
  rig.advance(30'000);
  CHECK(f.log == strings{"start a", "start b", "start c"});
  const auto waits = rig.ask_now<root_health>(root, tree_atom::value).value.value().children[1];
  CHECK(waits.state == child_state::running);
  CHECK(waits.waited_ms >= 28'000);
  rig.advance(35'000);
  CHECK(f.log == strings{"start a", "start b", "start c", "end b", "end c", "start b", "start c"});
  const auto child = rig.ask_now<root_health>(root, tree_atom::value).value.value().children[1];
  CHECK(child.restarts == 1);
  CHECK(child.last_error.starts_with("stopped answering"));
  CHECK(child.last_error_at > 0);
  rig.advance(long_ms);
  CHECK(f.log.size() == 7);
}

TEST_CASE("a child of a nursery that answers nothing is replaced when somebody asks for it") {
  family f;
  std::vector<bool> after_crash;
  test::actor_rig rig;
  auto options = nursery_of(rig, f, after_crash);
  bool mute = true;
  options.start = [&](caf::local_actor* parent, const std::string& name, bool crashed) {
    after_crash.push_back(crashed);
    return std::exchange(mute, false) ? start_mute(parent, f, name) : f.start(parent, name);
  };
  auto n = rig.own(rig.system().spawn(nursery, std::move(options)));
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"});
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"calm"});
  rig.advance(100'000);
  CHECK(f.log == strings{"start x", "start calm", "end x"});
  auto tree = rig.ask_now<nursery_health>(n, tree_atom::value).value.value();
  CHECK(tree.living == 1);
  REQUIRE(tree.children.size() == 2);
  CHECK(tree.children[0].name == "x"); // the troubled come first
  CHECK(tree.children[0].last_error.starts_with("stopped answering"));
  CHECK(rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"}).value);
  CHECK(after_crash == std::vector<bool>{false, false, true});
}

TEST_CASE("a child that answers nothing and cannot be ended either is told as beyond mending") {
  family f;
  test::actor_rig rig;
  // Nobody runs it: what is sent to it stays in its mailbox.
  caf::scoped_actor ghost{rig.system(), true};
  auto options = options_of(rig, f, {"a", "b"});
  options.children[0].start = [&](caf::local_actor*) {
    return caf::actor_cast<caf::strong_actor_ptr>(ghost);
  };
  auto root = rig.own(rig.system().spawn(supervisor, std::move(options)));
  std::vector<bool> after_crash;
  auto things = nursery_of(rig, f, after_crash);
  things.start = [&](caf::local_actor*, const std::string&, bool) {
    return caf::actor_cast<caf::strong_actor_ptr>(ghost);
  };
  things.gave_up = [&](std::string why) { f.gave_up.push_back(std::move(why)); };
  auto n = rig.own(rig.system().spawn(nursery, std::move(things)));
  rig.ask_now<caf::strong_actor_ptr>(n, std::string{"x"});
  rig.advance(long_ms);
  REQUIRE(f.gave_up.size() == 2);
  CHECK(f.gave_up[0].starts_with("a stopped answering"));
  CHECK(f.gave_up[1].starts_with("things/x stopped answering"));
  CHECK(f.gave_up[1].ends_with("cannot be ended"));
}

TEST_CASE("intensity and backoff are as they were configured") {
  config::settings settings;
  settings.supervision.root = {2, 60};
  settings.supervision.rooms = {1, 60};
  settings.supervision.backoff_first_ms = settings.supervision.backoff_most_ms = 4'000;
  family f;
  test::actor_rig rig;
  auto options = options_of(rig, f, {"a"});
  options.how = supervision_of(settings, "");
  auto root = rig.own(rig.system().spawn(supervisor, std::move(options)));
  rig.settle();
  for (int i = 0; i < 2; ++i) {
    crash(rig, f.living["a"]);
    rig.advance(1'000);
    CHECK(f.log.back() == "end a");
    rig.advance(4'000);
    CHECK(f.log.back() == "start a");
  }
  const auto tree = rig.ask_now<root_health>(root, tree_atom::value).value.value();
  CHECK(tree.restarts_most == 2);
  CHECK(tree.period_seconds == 60);
  CHECK(tree.children[0].recent == 2);
  crash(rig, f.living["a"]);
  REQUIRE(f.gave_up.size() == 1);
  CHECK(f.gave_up[0].starts_with("a fell 3 times within 60 s; last error: "));

  std::vector<bool> after_crash;
  auto things = nursery_of(rig, f, after_crash);
  things.how = supervision_of(settings, "rooms");
  auto n = rig.own(rig.system().spawn(nursery, std::move(things)));
  for (const auto* name : {"x", "y"}) {
    rig.ask_now<caf::strong_actor_ptr>(n, std::string{name});
    crash(rig, f.living[name]);
  }
  CHECK(rig.ask_now<caf::strong_actor_ptr>(n, std::string{"z"}).error);
}
