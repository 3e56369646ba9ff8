// What a device may rely on: its subscriptions, its session, and what it sees when something behind it falls.

#include "actors/relay.hpp"
#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faithful_client.hpp"

using namespace maru;
using namespace maru::test;

namespace {

const std::vector<std::string> nobody;

// A room with so many messages, and one device in it that posted them.
struct history {
  world w;
  uuid room;
  device& writer;

  explicit history(std::size_t messages, const std::function<void(config::settings&)>& change = {})
      : w(change), room(w.add_room()), writer(w.watch(room)) {
    for (std::size_t i = 1; i <= messages; ++i)
      writer.send(room, std::to_string(i), nobody);
    w.settle();
  }
  [[nodiscard]] std::size_t head() { return w.events(room).size(); }
};

// The seqs of the events since the last `opened`.
std::vector<std::uint64_t> seqs(const device& d) {
  std::vector<std::uint64_t> out;
  for (const auto& f : d.frames) {
    if (f["type"] == "opened") out.clear();
    if (f["type"] == "event") out.push_back(f["seq"]);
  }
  return out;
}

std::vector<std::uint64_t> from_to(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> out;
  for (; first <= last; ++first)
    out.push_back(first);
  return out;
}

constexpr std::int64_t long_ms = 30'000;

} // namespace

// --- opening -----------------------------------------------------------------------------------------------

TEST_CASE("an open replays what was asked for: all, what is newer, or the last 50", "[scenario][session]") {
  history h(60);
  struct asked_for {
    std::optional<std::uint64_t> after;
    std::uint64_t from;
  };
  const auto [after, from] =
      GENERATE(asked_for{0, 1}, asked_for{{}, 11}, asked_for{55, 56}, asked_for{60, 61}, asked_for{999, 61});
  auto& d = h.w.connect();
  d.open(h.room, after);
  h.w.settle();
  REQUIRE(d.count("opened") == 1);
  CHECK(d.all("opened")[0]["from"] == from);
  CHECK(d.all("opened")[0]["head"] == 60);
  CHECK(d.all("opened")[0]["floor"] == 1);
  CHECK(seqs(d) == from_to(from, 60));
  CHECK(d.commands_owed == 0);

  h.writer.send(h.room, "live", nobody);
  h.w.settle();
  CHECK(seqs(d) == from_to(from, 61));
  CHECK(h.w.violations().empty());
}

TEST_CASE("an open of a room in which nothing happened yet waits for its first event",
          "[scenario][session]") {
  history h(0);
  CHECK(h.writer.all("opened")[0]["from"] == 1);
  CHECK(h.writer.all("opened")[0]["head"] == 0);
  h.writer.send(h.room, "first", nobody);
  h.w.settle();
  CHECK(seqs(h.writer) == from_to(1, 1));
}

TEST_CASE("an open shows unfinished answers whole so far, then only what follows", "[scenario][session]") {
  history h(0);
  const auto id = h.writer.send(h.room, "question");
  h.w.settle();
  const auto answer = answers_of(h.writer.acks(id).at(0)).at(0);
  h.w.model().last().say({"one ", "two "});
  h.w.settle();
  auto& d = h.w.watch(h.room);
  CHECK(d.shown(h.room, answer) == "one two ");
  h.w.model().last().say({"three"});
  h.w.settle();
  CHECK(d.shown(h.room, answer) == "one two three");
  REQUIRE(d.count("delta") == 1);
  CHECK(d.all("delta")[0]["n"] == 3);
  CHECK(h.w.violations().empty());
}

TEST_CASE("a second open starts over, also before the first is answered", "[scenario][session]") {
  history h(60);
  auto& d = h.w.connect();
  const bool answered = GENERATE(true, false);
  d.open(h.room, 0);
  if (answered) h.w.settle();
  d.open(h.room, 50);
  h.w.settle();
  CHECK(d.count("opened") == (answered ? 2 : 1));
  CHECK(seqs(d) == from_to(51, 60));
  CHECK(d.commands_owed == 0);
  CHECK(d.bytes_owed == 0);
  h.writer.send(h.room, "live", nobody);
  h.w.settle();
  CHECK(seqs(d) == from_to(51, 61));
  CHECK(h.w.violations().empty());
}

TEST_CASE("a room that is not there, or not for this person, is refused by name", "[scenario][session]") {
  history h(1);
  const auto stranger = h.w.add_user("bob");
  auto& d = h.w.connect(stranger);
  const auto room = GENERATE(true, false) ? h.room : uuid::v7(1);
  d.open(room, 0);
  const auto post = d.send(room, "let me in", nobody);
  h.w.settle();
  CHECK(d.count("opened") == 0);
  REQUIRE(d.count("error") == 2);
  for (const auto& e : d.all("error"))
    CHECK(e["code"] == "not_found");
  CHECK(d.errors(post).size() == 1);
  CHECK(d.commands_owed == 0);
  CHECK_FALSE(d.closed);
  CHECK(h.head() == 1);
}

TEST_CASE("a room that was closed is silent, and its commands are still taken", "[scenario][session]") {
  history h(1);
  auto& d = h.w.watch(h.room);
  d.leave(h.room);
  h.w.settle();
  const auto before = d.frames.size();
  h.writer.send(h.room, "unheard", nobody);
  h.w.settle();
  CHECK(d.frames.size() == before);
  const auto id = d.send(h.room, "said nevertheless", nobody);
  h.w.settle();
  CHECK(d.acks(id).size() == 1);
  CHECK(d.frames.size() == before + 1);
  CHECK(d.commands_owed == 0);
}

TEST_CASE("a device has so many rooms open and no more", "[scenario][session]") {
  history h(1);
  auto& d = h.w.connect();
  for (std::size_t i = 0; i < limits::session_rooms_open; ++i)
    d.open(uuid::v7(static_cast<std::int64_t>(i)), 0);
  d.open(h.room, 0);
  h.w.settle();
  CHECK(d.count("opened") == 0);
  CHECK(d.count("error") == limits::session_rooms_open + 1);
  CHECK(d.commands_owed == 0);
  // Those that were refused are not open.
  d.open(h.room, 0);
  h.w.settle();
  CHECK(d.count("opened") == 1);
}

// --- replay and live ---------------------------------------------------------------------------------------

TEST_CASE("what happens during a replay follows it, without gap or repeat", "[scenario][session]") {
  history h(450); // three pages
  auto& d = h.w.connect();
  const auto before = GENERATE(0, 1, 2, 3);
  h.w.store().shut_reads();
  d.open(h.room, 0);
  h.w.settle();
  for (int page = 0; page < before; ++page) {
    h.w.store().let_read(0);
    h.w.settle();
  }
  const auto id = h.writer.send(h.room, "question");
  h.w.settle();
  while (h.w.model().calls.empty() && h.w.store().held_reads() > 0) {
    h.w.store().let_read(h.w.store().held_reads() - 1); // the agent's; the page is the oldest
    h.w.settle();
  }
  h.w.model().last().say({"one ", "two"});
  h.writer.send(h.room, "remark", nobody);
  h.w.settle();
  h.w.store().open_reads();
  h.w.settle();
  CHECK(seqs(d) == from_to(1, 452));
  CHECK(d.shown(h.room, answers_of(h.writer.acks(id).at(0)).at(0)) == "one two");
  CHECK(d.count("opened") == 1);
  CHECK(h.w.violations().empty());
}

TEST_CASE("more than may wait during a replay opens the room again where it was", "[scenario][session]") {
  history h(300);
  auto& d = h.w.connect();
  h.w.store().shut_reads();
  d.open(h.room, 0);
  h.w.settle();
  h.w.store().let_read(0); // the first page
  h.w.settle();
  const std::string big(1U << 20U, 'x');
  const auto many = limits::watch_buffer_bytes / big.size() + 2;
  for (std::size_t i = 0; i < many; ++i)
    h.writer.send(h.room, big, nobody);
  h.w.settle();
  h.w.store().open_reads();
  h.w.settle();
  REQUIRE(d.count("opened") == 2);
  CHECK(d.all("opened")[1]["from"] == 301);
  CHECK(d.events("message").size() == 300 + many);
  h.writer.send(h.room, "live", nobody);
  h.w.settle();
  CHECK(d.events("message").size() == 301 + many);
  CHECK(h.w.violations().empty());
}

TEST_CASE("a slow device gets the next page when it has taken the last, and costs others nothing",
          "[scenario][session]") {
  history h(450);
  auto& d = h.w.connect();
  d.set_slow(true);
  d.open(h.room, 0);
  h.w.settle();
  CHECK(seqs(d) == from_to(1, limits::replay_page));
  h.writer.send(h.room, "meanwhile", nobody);
  h.w.settle();
  CHECK(seqs(h.writer).back() == 451);
  CHECK(seqs(d) == from_to(1, limits::replay_page));
  d.set_slow(false);
  h.w.settle();
  CHECK(seqs(d) == from_to(1, 451));
  CHECK(h.w.violations().empty());
}

TEST_CASE("a page that cannot be read is read again", "[scenario][session]") {
  history h(450);
  auto& d = h.w.connect();
  const auto nth = GENERATE(1U, 2U, 3U);
  std::size_t reads = 0;
  h.w.store_fault = [&](std::string_view operation) {
    return operation == "read" && ++reads == nth ? storage::failure::unavailable : storage::failure::none;
  };
  d.open(h.room, 0);
  h.w.settle();
  CHECK(seqs(d).size() < 450);
  CHECK_FALSE(d.closed);
  h.writer.send(h.room, "meanwhile", nobody);
  h.w.advance(long_ms);
  CHECK(d.events("message").size() == 451);
  CHECK(h.w.violations().empty());
}

TEST_CASE("a room that cannot be read when it is opened is read again", "[scenario][session]") {
  // Its failed reading bore the number of the one before, and was dropped as late: nobody was ever answered.
  world w;
  const auto room = w.add_room({});
  auto& d = w.connect();
  bool failed = false;
  w.store_fault = [&failed](std::string_view operation) {
    return operation == "read" && !std::exchange(failed, true) ? storage::failure::unavailable
                                                               : storage::failure::none;
  };
  d.open(room, 0);
  const auto id = d.send(room, "too early", nobody);
  w.settle();
  CHECK(d.count("opened") == 0);
  CHECK(d.errors(id).size() == 1);
  w.advance(long_ms);
  CHECK(d.count("opened") == 1);
  d.send(room, "too early", nobody, id);
  w.settle();
  CHECK(d.acks(id).size() == 1);
  CHECK(d.commands_owed == 0);
  CHECK(w.violations().empty());
}

TEST_CASE("an ack goes to the device that sent, the event to all who watch", "[scenario][session]") {
  history h(0);
  auto& d = h.w.watch(h.room);
  const auto id = d.send(h.room, "hello", nobody);
  h.w.settle();
  CHECK(d.acks(id).size() == 1);
  CHECK(h.writer.count("ack") == 0);
  CHECK(d.events("message") == h.writer.events("message"));
}

// --- sessions ----------------------------------------------------------------------------------------------

TEST_CASE("a newer connection takes the session over, and the older is told", "[scenario][session]") {
  history h(3);
  auto& older = h.w.watch(h.room);
  auto& newer = h.w.connect(h.w.ana, older.session);
  REQUIRE(older.closed);
  CHECK(*older.closed == close_code::taken_over);
  CHECK(newer.session == older.session);
  newer.open(h.room, 3);
  h.w.settle();
  const auto before = older.frames.size();
  h.writer.send(h.room, "live", nobody);
  h.w.settle();
  CHECK(older.frames.size() == before);
  CHECK(seqs(newer) == from_to(4, 4));
  CHECK(h.w.violations().empty());
}

TEST_CASE("nobody takes over the session of somebody else, or of another sign-in", "[scenario][session]") {
  history h(0);
  const auto bob = h.w.add_user("bob");
  auto& thief = h.w.connect(bob, h.writer.session);
  REQUIRE(thief.closed);
  CHECK(*thief.closed == close_code::forbidden);
  auto& other = h.w.connect(h.w.ana, h.writer.session, uuid::v7(1));
  REQUIRE(other.closed);
  CHECK(*other.closed == close_code::forbidden);
  CHECK_FALSE(h.writer.closed);
}

TEST_CASE("a session outlives its connection by a minute", "[scenario][session]") {
  history h(0);
  auto& d = h.w.connect();
  const auto session = d.session.value();
  d.lose();
  h.w.advance(limits::session_linger_ms - 1000);
  CHECK(h.w.lives("sessions", session.str()));
  auto& again = h.w.connect(h.w.ana, session);
  CHECK(again.session == session);
  h.w.advance(2LL * limits::session_linger_ms);
  CHECK(h.w.lives("sessions", session.str()));
  again.lose();
  h.w.advance(limits::session_linger_ms + 1000);
  CHECK_FALSE(h.w.lives("sessions", session.str()));
}

TEST_CASE("a person has so many connections and no more; one that is gone makes room",
          "[scenario][session]") {
  world w([](config::settings& s) { s.limits.connections_per_user = 2; });
  auto& one = w.connect();
  auto& two = w.connect();
  auto& three = w.connect();
  CHECK_FALSE(one.closed);
  CHECK_FALSE(two.closed);
  REQUIRE(three.closed);
  CHECK(*three.closed == close_code::too_many_connections);
  CHECK(w.connect(w.add_user("bob")).session);

  auto& over = w.connect(w.ana, two.session); // takes over, and is no third one
  CHECK_FALSE(over.closed);
  one.lose();
  w.advance(limits::session_linger_ms + 1000);
  CHECK(w.connect().session);
}

TEST_CASE("when a family is revoked its connections end, and no others", "[scenario][session]") {
  world w;
  const auto family = uuid::v7(1);
  auto& one = w.connect(w.ana, {}, family);
  auto& two = w.connect(w.ana, {}, family);
  auto& other = w.connect(w.ana, {}, uuid::v7(2));
  const auto user = w.find<actors::user_actor>(actors::user_atom::value, w.ana);
  caf::anon_send(user, family);
  w.settle();
  REQUIRE(one.closed);
  CHECK(*one.closed == close_code::token_refused);
  CHECK(two.closed == close_code::token_refused);
  CHECK_FALSE(other.closed);
  CHECK_FALSE(w.lives("sessions", one.session->str()));
}

// --- falls -------------------------------------------------------------------------------------------------

TEST_CASE("when a user's or a session's actor falls, the device is told to come back, and loses nothing",
          "[scenario][session]") {
  const std::string place = GENERATE("user.command", "session.frame", "session.snapshot", "session.attach");
  CAPTURE(place);
  world w;
  const auto room = w.add_room({});
  faithful_client c{w, w.ana};
  w.settle();
  c.tend();
  c.open(room);
  w.settle();
  c.tend();
  w.crash_at(place, place == "session.snapshot" ? 1 : 2); // of three opens the last one counts
  for (int i = 0; i < 3; ++i) {
    c.send(room, std::to_string(i));
    c.open_again(room);
  }
  w.settle();
  if (place == "session.attach") {
    c.lose();
    c.forget_session();
    for (int i = 0; i < 2; ++i) {
      c.tend();
      w.settle();
      c.lose();
    }
  }
  REQUIRE(w.crashes == 1);
  auto closed = false;
  for (const auto& d : w.devices)
    closed = closed || d->closed == close_code::overloaded;
  CHECK((closed || place == "session.attach")); // who is not attached yet is closed by net/
  CHECK(come_to_rest(w, {room}, {&c}));
  CHECK(broken_promises(w, {room}, {&c}).empty());
  CHECK(w.events(room).size() == 3);
}

TEST_CASE("when a child of the root falls, what rests on it starts anew, and nothing is lost",
          "[scenario][session]") {
  world w;
  const auto room = w.add_room({"maru", "keeper"});
  faithful_client one{w, w.ana}, two{w, w.ana};
  for (auto* c : {&one, &two})
    c->open(room);
  w.settle();
  for (auto* c : {&one, &two})
    c->tend();
  one.send(room, "first");
  two.send(room, "second");
  w.settle();
  for (const auto* model : {"restart", "continue"})
    w.model(model).last().say({"some ", "text "});
  w.advance(150);

  const std::string child = GENERATE("store", "callers", "relay", "directory", "agents", "users", "rooms",
                                     "sessions", "scheduler", "api");
  CAPTURE(child);
  one.send(room, "under way");
  w.end_child(child);
  const bool over_sessions = child != "scheduler" && child != "api";
  for (const auto& d : w.devices) {
    CHECK(d->closed.has_value() == over_sessions);
    if (over_sessions) CHECK(d->closed == close_code::overloaded);
  }
  CHECK(w.restarts(child) == 1);
  CHECK(come_to_rest(w, {room}, {&one, &two}));
  for (const auto& wrong : broken_promises(w, {room}, {&one, &two}))
    FAIL_CHECK(wrong);
  CHECK(w.ends(room).size() == 6);
  CHECK_FALSE(w.gave_up);
}

TEST_CASE("a relay that falls while it is asked is the same", "[scenario][session]") {
  world w;
  const auto room = w.add_room({});
  faithful_client c{w, w.ana};
  c.open(room);
  w.settle();
  w.crash_at("relay.watch");
  c.tend();
  w.settle();
  REQUIRE(w.crashes == 1);
  CHECK(w.devices[0]->closed == close_code::overloaded);
  c.send(room, "hello");
  CHECK(come_to_rest(w, {room}, {&c}));
  CHECK(broken_promises(w, {room}, {&c}).empty());
}
