// One person's limits, and their commands while rooms fall.

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;

namespace {

const std::vector<std::string> nobody;

struct limited {
  world w;
  uuid room;
  device& d;

  explicit limited(const std::function<void(config::limit_settings&)>& change,
                   const std::vector<std::string>& agents = {"maru"})
      : w([change](config::settings& s) { change(s.limits); }), room(w.add_room(agents)), d(w.watch(room)) {}

  uuid send(const std::string& text, std::optional<std::vector<std::string>> agents = {},
            std::optional<uuid> id = {}) {
    const auto sent = d.send(room, text, std::move(agents), id);
    w.settle();
    return sent;
  }
  // The code of the refusal; "" if it was acked.
  std::string refused(const uuid& id) {
    if (d.errors(id).empty()) return d.acks(id).empty() ? "unanswered" : "";
    return d.errors(id).back()["code"];
  }
};

limited three_waiting() {
  return limited([](config::limit_settings& l) { l.questions_waiting_per_user = 3; });
}

} // namespace

// --- waiting questions -------------------------------------------------------------------------------------

TEST_CASE("a person has so many questions waiting and no more; an end makes room", "[scenario][user]") {
  auto l = three_waiting();
  std::vector<uuid> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(l.send(std::to_string(i)));
  const auto fourth = l.send("3");
  for (const auto& id : ids)
    CHECK(l.refused(id).empty());
  REQUIRE(l.refused(fourth) == "overloaded");
  CHECK(l.d.errors(fourth)[0].contains("retry_after_ms"));
  CHECK(l.w.events(l.room).size() == 3);
  CHECK(l.d.commands_owed == 0);

  // What asks nobody, a stop, and the resend of what was taken are not questions.
  CHECK(l.refused(l.send("a remark", nobody)).empty());
  l.send("0", {}, ids[0]);
  CHECK(l.d.acks(ids[0]).size() == 2);
  const auto stop = l.d.stop(l.room, answers_of(l.d.acks(ids[2]).at(0)).at(0));
  l.w.settle();
  CHECK(l.d.acks(stop).size() == 1);
  l.send("3", {}, fourth);
  CHECK(l.d.acks(fourth).size() == 1);
  CHECK(l.refused(l.send("4")) == "overloaded");
  l.w.model().last().finish();
  l.w.settle();
  CHECK(l.refused(l.send("5")).empty());
  CHECK(l.w.violations().empty());
}

TEST_CASE("of many questions at once, as many are taken as may wait", "[scenario][user]") {
  auto l = three_waiting();
  std::vector<uuid> ids;
  for (int i = 0; i < 8; ++i)
    ids.push_back(l.d.send(l.room, std::to_string(i)));
  l.w.settle();
  for (std::size_t i = 0; i < ids.size(); ++i)
    CHECK(l.refused(ids[i]) == (i < 3 ? "" : "overloaded"));
  CHECK(l.d.commands_owed == 0);
  CHECK(l.w.events(l.room).size() == 3);
}

TEST_CASE("waiting questions are counted in all rooms, and after a kill", "[scenario][user]") {
  auto l = three_waiting();
  const auto other = l.w.add_room();
  l.send("0");
  l.send("1");
  l.d.send(other, "2");
  l.w.settle();
  CHECK(l.refused(l.send("3")) == "overloaded");
  l.w.restart();
  auto& d = l.w.watch(l.room);
  const auto id = d.send(l.room, "4");
  l.w.settle();
  REQUIRE(d.errors(id).size() == 1);
  CHECK(d.errors(id)[0]["code"] == "overloaded");
  for (int i = 0; i < 2; ++i) {
    for (auto& c : l.w.model().calls)
      c->finish();
    l.w.settle();
  }
  d.send(l.room, "4", {}, id);
  l.w.settle();
  CHECK(d.acks(id).size() == 1);
}

TEST_CASE("one person's waiting questions do not hinder another", "[scenario][user]") {
  auto l = three_waiting();
  const auto bob = l.w.add_user("bob");
  l.w.add_member(l.room, bob);
  l.w.restart();
  auto& ana = l.w.watch(l.room);
  for (int i = 0; i < 4; ++i)
    ana.send(l.room, std::to_string(i));
  auto& d = l.w.connect(bob);
  const auto id = d.send(l.room, "from bob");
  l.w.settle();
  CHECK(ana.count("error") == 1);
  CHECK(d.acks(id).size() == 1);
}

TEST_CASE("where the store cannot be read, questions are refused for now and nothing stays behind",
          "[scenario][user]") {
  auto l = three_waiting();
  l.w.store_fault = [](std::string_view operation) {
    return operation == "read" ? storage::failure::unavailable : storage::failure::none;
  };
  const auto id = l.send("question");
  CHECK(l.refused(id) == "storage_unavailable");
  CHECK(l.refused(l.send("remark", nobody)).empty());
  l.w.store_fault = nullptr;
  l.send("question", {}, id);
  CHECK(l.d.acks(id).size() == 1);
  CHECK(l.d.commands_owed == 0);
}

// --- rate --------------------------------------------------------------------------------------------------

TEST_CASE("a person sends so many messages a minute, and the allowance refills with time",
          "[scenario][user]") {
  limited l([](config::limit_settings& s) { s.messages_per_minute_per_user = 60; });
  const auto first = l.send("0", nobody);
  for (int i = 1; i < 60; ++i)
    CHECK(l.refused(l.send(std::to_string(i), nobody)).empty());
  const auto late = l.send("late", nobody);
  REQUIRE(l.refused(late) == "rate_limited");
  const std::int64_t wait = l.d.errors(late)[0]["retry_after_ms"];
  CHECK(l.w.events(l.room).size() == 60);

  // The resend of what was taken is answered.
  l.send("0", nobody, first);
  CHECK(l.d.acks(first).size() == 2);

  l.w.advance(wait);
  l.send("late", nobody, late);
  CHECK(l.d.acks(late).size() == 1);
  CHECK(l.refused(l.send("too early", nobody)) == "rate_limited");
  l.w.advance(2LL * limits::minute_ms);
  for (int i = 0; i < 60; ++i)
    CHECK(l.refused(l.send("again " + std::to_string(i), nobody)).empty());
  CHECK(l.refused(l.send("one too many", nobody)) == "rate_limited");
  CHECK(l.d.commands_owed == 0);
  CHECK(l.w.violations().empty());
}

TEST_CASE("stops have no rate", "[scenario][user]") {
  limited l([](config::limit_settings& s) { s.messages_per_minute_per_user = 1; });
  const auto id = l.send("question");
  CHECK(l.refused(l.send("too many")) == "rate_limited");
  const auto stop = l.d.stop(l.room, answers_of(l.d.acks(id).at(0)).at(0));
  l.w.settle();
  CHECK(l.d.acks(stop).size() == 1);
}

// --- under way ---------------------------------------------------------------------------------------------

TEST_CASE("a person has so many commands under way and no more", "[scenario][user]") {
  limited l([](config::limit_settings&) {});
  std::vector<uuid> rooms{l.room, l.w.add_room(), l.w.add_room()};
  for (const auto& room : rooms)
    l.d.send(room, "awake", nobody); // a room is read behind what is being stored
  l.w.settle();
  const auto before = l.d.count("ack");
  l.w.store().shut();
  const auto more = std::size_t{50};
  std::vector<uuid> ids;
  for (std::size_t i = 0; i < limits::user_commands_under_way + more; ++i)
    ids.push_back(l.d.send(rooms[i % rooms.size()], "text", nobody));
  l.w.settle();
  CHECK(l.d.count("error") == more);
  CHECK(l.refused(ids.back()) == "overloaded");
  CHECK(l.w.store().held() == limits::user_commands_under_way);
  l.w.store().open();
  l.w.settle();
  CHECK(l.d.count("ack") == before + limits::user_commands_under_way);
  CHECK(l.d.commands_owed == 0);
  l.send("text", nobody, ids.back());
  CHECK(l.d.acks(ids.back()).size() == 1);
}

TEST_CASE("a room takes so many commands at a time and no more", "[scenario][user]") {
  limited l([](config::limit_settings&) {});
  l.w.store().shut();
  for (std::size_t i = 0; i < limits::room_commits_under_way + 10; ++i)
    l.d.send(l.room, "text", nobody);
  l.w.settle();
  CHECK(l.d.count("error") == 10);
  l.w.store().open();
  l.w.settle();
  CHECK(l.d.count("ack") == limits::room_commits_under_way);
  CHECK(l.d.commands_owed == 0);
  CHECK(l.w.violations().empty());
}

TEST_CASE("when a room is killed, each command under way is acked once, whether it was taken or not",
          "[scenario][user]") {
  limited l([](config::limit_settings&) {});
  l.w.store().shut();
  std::vector<uuid> ids;
  for (int i = 0; i < 6; ++i)
    ids.push_back(l.d.send(l.room, std::to_string(i), nobody));
  l.w.settle();
  const auto taken = GENERATE(std::size_t{0}, std::size_t{3}, std::size_t{6});
  l.w.store().let(taken);
  // Taken by the disk, but the room does not live to hear of it.
  l.w.crash_at("room.committed");
  l.w.settle();
  if (taken == 0)
    l.w.rig().end(l.w.find<actors::room_actor>(actors::room_atom::value, l.room), caf::exit_reason::kill);
  l.w.store().open();
  l.w.advance(10'000);
  for (const auto& id : ids)
    CHECK(l.d.acks(id).size() == 1);
  CHECK(l.w.events(l.room).size() == 6);
  CHECK(l.d.events("message").size() == 6);
  CHECK(l.d.commands_owed == 0);
  CHECK(l.w.violations().empty());
}

TEST_CASE("a user's actor ends when nobody is there, and begins anew", "[scenario][user]") {
  limited l([](config::limit_settings&) {});
  REQUIRE(l.w.lives("users", l.w.ana.str()));
  l.w.advance(3LL * limits::user_idle_ms);
  CHECK(l.w.lives("users", l.w.ana.str()));
  l.d.lose();
  l.w.advance(limits::session_linger_ms + limits::user_idle_ms + 1'000);
  CHECK_FALSE(l.w.lives("users", l.w.ana.str()));
  auto& d = l.w.watch(l.room);
  const auto id = d.send(l.room, "back again", nobody);
  l.w.settle();
  CHECK(d.acks(id).size() == 1);
}
