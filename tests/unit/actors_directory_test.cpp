#include "actors/directory.hpp"

#include "actors/nursery.hpp"
#include "config/limits.hpp"
#include "tests/support/actor_rig.hpp"
#include "tests/support/catch.hpp"

using namespace maru;
using namespace maru::actors;

namespace {

// A directory over a nursery of users that counts starts.
struct town {
  explicit town(test::actor_rig& rig) : rig(rig) {
    auto svc = rig.make_services();
    svc.users = rig.own(rig.system().spawn(
        nursery,
        nursery_options{"users",
                        [this](caf::local_actor* parent, const std::string& name, bool) {
                          starts.push_back(name);
                          if (broken) throw std::runtime_error{"no"};
                          auto child = parent->spawn(
                              [](caf::event_based_actor*, int) -> caf::behavior { return {[](int) {}}; }, 0);
                          living = caf::actor_cast<caf::strong_actor_ptr>(child);
                          return living;
                        },
                        &rig.time(), [] { return 0.5; }}));
    users = svc.users;
    handle =
        rig.own(rig.system().spawn(directory, [svc = std::make_shared<const services>(svc)] { return svc; }));
  }
  auto find(const uuid& id) { return rig.ask_now<user_actor>(handle, user_atom::value, id); }

  test::actor_rig& rig;
  std::vector<std::string> starts;
  bool broken = false;
  caf::strong_actor_ptr living;
  nursery_actor users;
  directory_actor handle;
};

} // namespace

TEST_CASE("the directory gives every asker of a name the same actor") {
  test::actor_rig rig;
  town t{rig};
  const auto id = uuid::v7(1);
  const auto first = rig.ask<user_actor>(t.handle, user_atom::value, id);
  const auto second = rig.ask<user_actor>(t.handle, user_atom::value, id);
  rig.settle();
  REQUIRE(first->value);
  REQUIRE(second->value);
  CHECK(*first->value == *second->value);
  CHECK(t.find(id).value == *first->value);
  CHECK(t.starts == std::vector<std::string>{id.str()});
}

TEST_CASE("an actor that ended is found anew, not handed out again") {
  test::actor_rig rig;
  town t{rig};
  const auto id = uuid::v7(1);
  const auto first = t.find(id).value;
  rig.end(t.living, caf::exit_reason::user_shutdown);
  const auto second = t.find(id).value;
  REQUIRE(second);
  CHECK(*first != *second);
  CHECK(t.starts.size() == 2);
}

TEST_CASE("an asker after a crash waits for the backoff") {
  test::actor_rig rig;
  town t{rig};
  const auto id = uuid::v7(1);
  t.find(id);
  rig.end(t.living, caf::exit_reason::unhandled_exception);
  const auto asked = rig.ask<user_actor>(t.handle, user_atom::value, id);
  rig.settle();
  CHECK_FALSE(asked->came);
  rig.advance(config::supervision_settings{}.backoff_first_ms);
  CHECK(asked->value);
}

TEST_CASE("when nothing can be started all askers are told so") {
  test::actor_rig rig;
  town t{rig};
  t.broken = true;
  const auto first = rig.ask<user_actor>(t.handle, user_atom::value, uuid::v7(1));
  const auto second = rig.ask<room_actor>(t.handle, room_atom::value, uuid::v7(1)); // no nursery at all
  rig.settle();
  CHECK(first->error);
  CHECK(second->error);
}

TEST_CASE("askers are told when the nursery falls while they wait") {
  test::actor_rig rig;
  town t{rig};
  const auto id = uuid::v7(1);
  t.find(id);
  rig.end(t.living, caf::exit_reason::unhandled_exception);
  const auto asked = rig.ask<user_actor>(t.handle, user_atom::value, id);
  rig.settle();
  rig.end(t.users, caf::exit_reason::kill);
  CHECK(asked->error);
}

TEST_CASE("the name of an agent's actor can be read back") {
  const agent_name of{uuid::v7(1), "ma/ru"};
  const auto back = agent_name_of(child_name(of));
  REQUIRE(back);
  CHECK(back->room == of.room);
  CHECK(back->agent == of.agent);
  CHECK_FALSE(agent_name_of("maru"));
  CHECK_FALSE(agent_name_of(of.room.str() + "/"));
}
