// What a device hears of rooms that it does not have open, and what counts as read.

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;
using nlohmann::json;

namespace {

const std::vector<std::string> nobody;

// Ana's room; her desk has it open and writes, her phone and Bob's have not. Eve is no member.
struct house {
  world w;
  uuid bob = w.add_user("bob"), eve = w.add_user("eve");
  uuid room;
  device* desk = nullptr;
  device* phone = nullptr;
  device* bobs = nullptr;
  device* eves = nullptr;

  explicit house(const std::vector<std::string>& agents = {}) : room(w.add_room(agents)) {
    w.add_member(room, bob);
    connect_all();
  }

  void connect_all() {
    desk = &w.watch(room);
    phone = &w.connect();
    bobs = &w.connect(bob);
    eves = &w.connect(eve);
  }

  void say(const std::string& text) {
    desk->send(room, text, nobody);
    w.settle();
  }
  void pass_on() { w.advance(limits::news_ms); }

  // As GET /rooms/{room} says it.
  std::uint64_t unread(const uuid& person) {
    return std::get<actors::api::room_view>(w.call(person, actors::api::get_room{room})).unread;
  }
};

constexpr std::int64_t kept_ms = limits::reads_told_ms + limits::reads_kept_ms;

json newest(const device& d) { return d.all("room").back(); }

} // namespace

// --- frames ------------------------------------------------------------------------------------------------

TEST_CASE("a room that is not open tells its members' devices what a list shows of it", "[scenario][news]") {
  house h;
  h.say("hello");
  CHECK(h.bobs->count("room") == 0); // merged: it waits
  h.pass_on();
  REQUIRE(h.bobs->count("room") == 1);
  const auto got = newest(*h.bobs);
  CHECK(got["room"] == h.room.str());
  CHECK(got["id"] == h.room.str());
  CHECK(got["head"] == 1);
  CHECK(got["read"] == 0);
  CHECK(got["unread"] == 1);
  CHECK(got["members"] == 2);
  CHECK(got["last"]["seq"] == 1);
  CHECK(got["last"]["data"]["text"] == "hello");
  CHECK(got["active_at"] == got["last"]["at"]);
  // Her other device hears of it, too, and that she has read it.
  REQUIRE(h.phone->count("room") == 1);
  CHECK(newest(*h.phone)["unread"] == 0);
  CHECK(newest(*h.phone)["read"] == 1);
  CHECK(h.desk->count("room") == 0);
  CHECK(h.eves->count("room") == 0);
  CHECK(h.w.violations().empty());
}

TEST_CASE("what happens in a room within the interval is one frame, with the newest state",
          "[scenario][news]") {
  house h;
  for (int i = 1; i <= 20; ++i)
    h.say(std::to_string(i));
  h.pass_on();
  REQUIRE(h.bobs->count("room") == 1);
  CHECK(newest(*h.bobs)["unread"] == 20);
  CHECK(newest(*h.bobs)["last"]["data"]["text"] == "20");
  // Silence costs nothing.
  h.w.advance(10 * limits::news_ms);
  CHECK(h.bobs->count("room") == 1);
  h.say("21");
  h.pass_on();
  CHECK(h.bobs->count("room") == 2);
}

TEST_CASE("however much is said, a device gets one frame of a room in each interval", "[scenario][news]") {
  house h;
  constexpr int steps = 40;
  constexpr std::int64_t step_ms = limits::news_ms / 5;
  for (int i = 0; i < steps; ++i) {
    h.say("x");
    h.w.advance(step_ms);
  }
  h.pass_on();
  CHECK(h.bobs->count("room") <= steps / 5 + 1);
  CHECK(h.bobs->count("room") >= steps / 5 - 1);
  CHECK(newest(*h.bobs)["head"] == steps);
}

TEST_CASE("each room has its own frame, however many there are", "[scenario][news]") {
  house h;
  std::vector<uuid> rooms;
  for (std::size_t i = 0; i < limits::news_rooms_in_a_row + 10; ++i)
    rooms.push_back(h.w.add_room({}));
  for (const auto& r : rooms)
    h.desk->send(r, "in here", nobody);
  h.w.settle();
  h.pass_on();
  std::set<std::string> told;
  for (const auto& f : h.phone->all("room"))
    CHECK(told.insert(f["room"]).second);
  CHECK(told.size() == rooms.size());
  CHECK(h.bobs->count("room") == 0);
}

TEST_CASE("a device that opens a room hears its events, and of it no more otherwise", "[scenario][news]") {
  house h;
  h.say("one");
  h.bobs->open(h.room, 0); // before the frame was due
  h.w.settle();
  h.pass_on();
  CHECK(h.bobs->count("room") == 0);
  CHECK(h.bobs->events("message").size() == 1);
  h.say("two");
  h.pass_on();
  CHECK(h.bobs->count("room") == 0);
  h.bobs->leave(h.room);
  h.w.settle();
  h.say("three");
  h.pass_on();
  REQUIRE(h.bobs->count("room") >= 1);
  CHECK(newest(*h.bobs)["unread"] == 1);
  CHECK(newest(*h.bobs)["head"] == 3);
  CHECK(h.w.violations().empty());
}

TEST_CASE("an open that ended before its replay did is made up for by a frame", "[scenario][news]") {
  house h;
  h.say("one");
  h.pass_on();
  h.w.store().shut_reads();
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("two");
  h.pass_on();
  const auto before = h.bobs->count("room");
  h.bobs->leave(h.room);
  h.w.store().open_reads();
  h.w.settle();
  h.pass_on();
  REQUIRE(h.bobs->count("room") == before + 1);
  CHECK(newest(*h.bobs)["unread"] == 2);
}

TEST_CASE("a streamed answer is news when it is asked for and when it ends, not in between",
          "[scenario][news]") {
  house h({"maru"});
  h.desk->send(h.room, "question");
  h.w.settle();
  h.pass_on();
  const auto asked = h.bobs->count("room");
  CHECK(asked == 1);
  for (int i = 0; i < 50; ++i) {
    h.w.model().last().say({"piece "});
    h.w.settle();
  }
  h.pass_on();
  CHECK(h.bobs->count("room") == asked);
  h.w.model().last().finish();
  h.w.settle();
  h.pass_on();
  REQUIRE(h.bobs->count("room") == asked + 1);
  CHECK(newest(*h.bobs)["last"]["kind"] == "answer");
  CHECK(newest(*h.bobs)["unread"] == 2);
}

TEST_CASE("a long text is cut in a frame and whole in its event", "[scenario][news]") {
  house h;
  std::string text;
  while (text.size() < 2 * limits::brief_event_bytes)
    text += "가나다";
  h.say(text);
  h.pass_on();
  const auto last = newest(*h.bobs)["last"];
  const std::string cut = last["data"]["text"];
  CHECK(last["data"]["cut"] == true);
  CHECK(cut.size() <= limits::brief_text_bytes);
  CHECK(cut.size() > limits::brief_text_bytes - 4);
  CHECK(text.starts_with(cut));
  CHECK(h.desk->events("message").at(0)["data"]["text"] == text);
}

TEST_CASE("all of a person's many devices hear of a room", "[scenario][news]") {
  house h;
  std::vector<device*> more;
  for (int i = 0; i < 49; ++i)
    more.push_back(&h.w.connect(h.bob));
  more.front()->lose();
  more.back()->open(h.room, 0);
  h.w.settle();
  h.say("to all");
  h.pass_on();
  CHECK(more.front()->count("room") == 0);
  CHECK(more.back()->count("room") == 0);
  for (std::size_t i = 1; i + 1 < more.size(); ++i) {
    REQUIRE(more[i]->count("room") == 1);
    CHECK(newest(*more[i])["unread"] == 0); // one of them shows it
  }
}

TEST_CASE("an event stream has no list beside it, and what it delivers is read", "[scenario][news]") {
  house h;
  auto& stream = h.w.dial(h.bob);
  stream.be_stream();
  h.w.settle();
  h.say("one");
  h.pass_on();
  CHECK(stream.count("room") == 0);
  CHECK(newest(*h.bobs)["unread"] == 1);
  stream.open(h.room, 0);
  h.w.settle();
  h.say("two");
  h.pass_on();
  CHECK(stream.events("message").size() == 2);
  CHECK(stream.count("room") == 0);
  CHECK(newest(*h.bobs)["head"] == 2);
  CHECK(newest(*h.bobs)["unread"] == 0);
  stream.lose();
  CHECK(h.unread(h.bob) == 0);
  h.say("three");
  h.pass_on();
  CHECK(newest(*h.bobs)["unread"] == 1);
}

// --- read and unread ---------------------------------------------------------------------------------------

TEST_CASE("what came to an open device is read on all of them, and in the store soon after",
          "[scenario][news]") {
  house h;
  h.say("one");
  h.say("two");
  h.pass_on();
  REQUIRE(newest(*h.bobs)["unread"] == 2);
  auto& other = h.w.connect(h.bob);
  other.open(h.room, 0);
  h.w.settle();
  h.pass_on();
  CHECK(newest(*h.bobs)["unread"] == 0);
  CHECK(newest(*h.bobs)["last"]["seq"] == 2);
  CHECK(other.count("room") == 0);
  h.w.advance(kept_ms);
  CHECK(h.unread(h.bob) == 0);
  CHECK(h.unread(h.w.ana) == 0);
  h.say("three");
  h.pass_on();
  CHECK(newest(*h.bobs)["unread"] == 0);
  h.w.advance(kept_ms);
  CHECK(h.unread(h.bob) == 0);
}

TEST_CASE("reads reach the store merged, not one by one", "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  std::size_t marks = 0;
  h.w.store_fault = [&](std::string_view operation) {
    if (operation == "apply:mark_read") ++marks;
    return storage::failure::none;
  };
  for (int i = 0; i < 30; ++i)
    h.say("x");
  CHECK(marks == 0);
  h.w.advance(kept_ms);
  CHECK(marks <= 2); // the writer's own, and those of whom it was told to
  CHECK(marks >= 1);
  CHECK(h.unread(h.bob) == 0);
  const auto before = marks;
  h.w.advance(10 * kept_ms);
  CHECK(marks == before);
}

TEST_CASE("a watch that ends leaves what it has read at once", "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("one");
  if (GENERATE(true, false))
    h.bobs->leave(h.room);
  else
    h.bobs->lose();
  CHECK(h.unread(h.bob) == 0);
  h.say("two");
  CHECK(h.unread(h.bob) == 1);
}

TEST_CASE("who writes has read what was there, on whatever device", "[scenario][news]") {
  house h;
  h.say("one");
  h.say("two");
  CHECK(h.unread(h.bob) == 2);
  h.bobs->send(h.room, "a word without looking", nobody);
  h.w.settle();
  CHECK(h.unread(h.bob) == 0);
  h.pass_on();
  CHECK(newest(*h.bobs)["unread"] == 0);
  h.say("four");
  h.pass_on();
  CHECK(newest(*h.bobs)["unread"] == 1);
  h.w.advance(kept_ms);
  CHECK(h.unread(h.bob) == 1);
}

TEST_CASE("what was read is known after a restart, in order or by the power", "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("one");
  const bool in_order = GENERATE(true, false);
  if (!in_order) h.w.advance(kept_ms);
  if (in_order)
    h.w.restart_in_order();
  else
    h.w.restart();
  CHECK(h.unread(h.bob) == 0);
  h.connect_all();
  h.say("two");
  h.pass_on();
  CHECK(newest(*h.bobs)["unread"] == 1);
  CHECK(newest(*h.bobs)["read"] == 1);
}

TEST_CASE("a kill before it was kept shows some as unread again, and opening mends it", "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("one");
  h.w.restart();
  CHECK(h.unread(h.bob) == 1);
  auto& again = h.w.connect(h.bob);
  again.open(h.room, 1);
  h.w.settle();
  again.leave(h.room);
  CHECK(h.unread(h.bob) == 0);
}

TEST_CASE("frames and counts go on after something behind them fell", "[scenario][news]") {
  house h;
  h.say("one");
  h.pass_on();
  const std::string what = GENERATE("room.reads", "room.committed", "relay.news", "session.frame");
  h.w.crash_at(what);
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.bobs->leave(h.room);
  h.say("two");
  h.w.advance(5'000);
  h.w.mend();
  CHECK(h.w.crashes == 1);
  h.connect_all(); // where the socket fell, the client is back
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.bobs->leave(h.room);
  h.w.settle();
  h.say("three");
  h.pass_on();
  REQUIRE(h.bobs->count("room") >= 1);
  CHECK(newest(*h.bobs)["unread"] == 1);
  CHECK(h.unread(h.bob) == 1);
  CHECK(h.eves->count("room") == 0);
  CHECK(h.w.violations().empty());
}

TEST_CASE("a full disk keeps what was read waiting", "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("one");
  h.w.store_fault = [](std::string_view operation) {
    return operation == "apply:mark_read" ? storage::failure::full : storage::failure::none;
  };
  h.w.advance(2 * kept_ms);
  CHECK(h.unread(h.bob) == 1);
  h.w.store_fault = nullptr;
  h.w.advance(kept_ms);
  CHECK(h.unread(h.bob) == 0);
}

TEST_CASE("a room does not end while what was read is on its way to the disk", "[scenario][news]") {
  house h;
  h.say("one");
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.w.store().shut();
  h.bobs->lose();
  h.desk->lose();
  h.w.advance(3 * limits::room_idle_ms);
  CHECK(h.w.lives("rooms", h.room.str()));
  h.w.store().open();
  h.w.advance(3 * limits::room_idle_ms);
  CHECK_FALSE(h.w.lives("rooms", h.room.str()));
  CHECK(h.unread(h.bob) == 0);
}

TEST_CASE("what a room that is coming back hears was read, it knows, too, until the disk has it",
          "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("one");
  h.w.store().shut_reads();
  h.w.crash_at("room.committed");
  h.say("two"); // the room falls, and cannot read what it was
  h.w.advance(1'000);
  CHECK(h.w.crashes == 1);
  h.w.mend();
  h.w.store().shut();
  h.bobs->leave(h.room);
  h.w.settle();
  CHECK(h.w.store().held() == 1);
  h.w.store().open_reads();
  h.w.settle();
  h.w.store().open();
  h.say("three");
  h.pass_on();
  REQUIRE(h.bobs->count("room") >= 1);
  CHECK(newest(*h.bobs)["read"] == 1);
  CHECK(newest(*h.bobs)["unread"] == 2);
}

TEST_CASE("an idle room ends, and what was read in it stays", "[scenario][news]") {
  house h;
  h.bobs->open(h.room, 0);
  h.w.settle();
  h.say("one");
  h.bobs->lose();
  h.desk->lose();
  h.w.advance(3 * limits::room_idle_ms);
  CHECK_FALSE(h.w.lives("rooms", h.room.str()));
  CHECK(h.unread(h.bob) == 0);
  auto& back = h.w.connect(h.bob);
  h.w.watch(h.room).send(h.room, "again", nobody);
  h.w.settle();
  h.pass_on();
  CHECK(newest(back)["read"] == 1);
  CHECK(newest(back)["unread"] == 1);
}

TEST_CASE("a new room is told to all devices of its maker", "[scenario][news]") {
  house h;
  h.w.call(h.w.ana, actors::api::create_room{"a title", {}});
  h.pass_on();
  REQUIRE(h.phone->count("room") == 1);
  REQUIRE(h.desk->count("room") == 1);
  const auto got = newest(*h.phone);
  CHECK(got["title"] == "a title");
  CHECK(got["head"] == 0);
  CHECK(got["unread"] == 0);
  CHECK_FALSE(got.contains("last"));
  CHECK(h.bobs->count("room") == 0);
}
