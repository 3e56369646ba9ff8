// Order and bounds between a person, a room and an agent.

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

using namespace maru;
using namespace maru::test;

namespace {

const std::vector<std::string> nobody;

std::vector<std::string> texts(world& w, const uuid& room) {
  std::vector<std::string> out;
  for (const auto& e : w.events(room))
    if (e.kind == "message") out.push_back(nlohmann::json::parse(e.data)["text"]);
  return out;
}

} // namespace

TEST_CASE("what a person posts keeps its order behind a question that has to be counted first",
          "[scenario][limits]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  d.send(room, "a question");
  d.send(room, "a remark", nobody);
  d.send(room, "another question");
  w.settle();
  CHECK(texts(w, room) == std::vector<std::string>{"a question", "a remark", "another question"});
  CHECK(w.violations().empty());
}

TEST_CASE("what a person posts keeps its order behind a message whose parent is looked up",
          "[scenario][limits]") {
  world w;
  const auto room = w.add_room();
  auto& before = w.watch(room);
  before.send(room, "first", nobody);
  before.send(room, "second", nobody);
  w.settle();
  const auto first = uuid::parse(before.events("message").at(0)["id"].get<std::string>()).value();
  w.restart();
  auto& d = w.watch(room);
  actors::send_in branch;
  branch.key = uuid::v7(1);
  branch.id = branch.key.str();
  branch.room = room;
  branch.text = "under the first";
  branch.agents = nobody;
  branch.parent_is = actors::parent_rule::given;
  branch.parent = first;
  d.send(branch);
  d.send(room, "after it", nobody);
  w.settle();
  CHECK(texts(w, room) == std::vector<std::string>{"first", "second", "under the first", "after it"});
  const auto events = w.events(room);
  CHECK(events.at(2).parent == first);
  CHECK(events.at(3).parent == events.at(2).id);
  CHECK(w.violations().empty());
}

TEST_CASE("a stop that comes as its room fell keeps what was shown", "[scenario][limits]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto id = d.send(room, "question");
  w.settle();
  const auto answer = answers_of(d.acks(id).at(0)).at(0);
  w.model().last().say({"some ", "text"});
  w.settle();
  w.crash_at("room.stop");
  const auto stop = d.stop(room, answer);
  w.advance(10'000);
  REQUIRE(w.crashes == 1);
  CHECK(d.acks(stop).size() == 1);
  CHECK(end_of(w, room, answer)["kind"] == "answer_stopped");
  CHECK(end_of(w, room, answer)["text"] == "some text");
  CHECK(w.violations().empty());
}

TEST_CASE("a stop after a room fell waits for an agent no longer than a moment", "[scenario][limits]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  const auto id = d.send(room, "question");
  w.settle();
  const auto answer = answers_of(d.acks(id).at(0)).at(0);
  w.crash_always("agent.mailbox"); // nobody tells anything
  w.end_child("agents");
  w.advance(config::supervision_settings{}.backoff_first_ms * 2);
  auto& again = w.watch(room);
  const auto stop = again.stop(room, answer);
  w.advance(limits::stop_patience_ms / 2);
  REQUIRE(again.count("opened") == 1); // the room is there
  CHECK(again.acks(stop).empty());
  w.advance(limits::stop_patience_ms);
  CHECK(again.acks(stop).size() == 1);
  CHECK(end_of(w, room, answer)["kind"] == "answer_stopped");
}

TEST_CASE("a room bounds its unfinished answers, and tells who asks for one more", "[scenario][limits]") {
  world w([](config::settings& s) { s.limits.questions_waiting_per_user = 0; });
  const std::vector<std::string> all{"maru", "second", "keeper"};
  const auto room = w.add_room(all);
  auto& d = w.watch(room);
  for (std::size_t i = 0; i < limits::room_answers_unfinished / all.size(); ++i)
    d.send(room, "question");
  w.settle();
  CHECK(d.count("error") == 0);
  const auto one_more = d.send(room, "question");
  w.settle();
  REQUIRE(d.errors(one_more).size() == 1);
  CHECK(d.errors(one_more)[0]["code"] == "overloaded");
  const auto remark = d.send(room, "a remark", nobody);
  w.settle();
  CHECK(d.acks(remark).size() == 1);
}

TEST_CASE("what was lost with many processes is tried ever more slowly, and not dropped",
          "[scenario][limits]") {
  world w;
  const auto room = w.add_room();
  auto& d = w.watch(room);
  d.send(room, "question");
  w.settle();
  for (std::uint32_t life = 0; life < limits::losses_without_wait; ++life) {
    w.restart();
    CHECK(w.model().open_calls() == 1);
  }
  for (const auto wait : {limits::loss_backoff_first_ms, 2 * limits::loss_backoff_first_ms}) {
    w.restart();
    CHECK(w.model().open_calls() == 0);
    w.advance(wait + limits::sweep_ms);
    CHECK(w.model().open_calls() == 1);
  }
  w.model().last().finish();
  w.settle();
  CHECK(w.ends(room).size() == 1);
}

TEST_CASE("a resend means what it meant, also when its agent is configured no longer", "[scenario][limits]") {
  bool gone = false;
  world w([&](config::settings& s) {
    if (gone) std::erase_if(s.agents, [](const auto& a) { return a.name == "second"; });
  });
  const auto room = w.add_room({"maru", "second"});
  auto& d = w.watch(room);
  const auto open = d.send(room, "to the room");
  const auto named = d.send(room, "to one", std::vector<std::string>{"second"});
  w.settle();
  gone = true;
  w.restart();
  auto& again = w.watch(room);
  again.send(room, "to the room", {}, open);
  again.send(room, "to one", std::vector<std::string>{"second"}, named);
  const auto fresh = again.send(room, "to one", std::vector<std::string>{"second"});
  w.settle();
  REQUIRE(again.acks(open).size() == 1);
  CHECK(again.acks(open)[0]["duplicate"] == true);
  REQUIRE(again.acks(named).size() == 1);
  CHECK(again.acks(named)[0]["duplicate"] == true);
  REQUIRE(again.errors(fresh).size() == 1);
  CHECK(again.errors(fresh)[0]["code"] == "invalid_field");
}

TEST_CASE("a slow device is read one page at a time, whatever number of rooms it opens",
          "[scenario][limits]") {
  world w;
  std::vector<uuid> rooms;
  auto& writer = w.connect();
  for (int i = 0; i < 3; ++i) {
    rooms.push_back(w.add_room());
    for (std::size_t k = 0; k < limits::replay_page + 10; ++k)
      writer.send(rooms.back(), "text", nobody);
    w.settle();
  }
  auto& d = w.connect();
  d.set_slow(true);
  for (const auto& room : rooms)
    d.open(room, 0);
  w.settle();
  CHECK(d.events("message").size() == limits::replay_page);
  for (int i = 0; i < 10; ++i) {
    d.set_slow(false);
    w.settle();
  }
  CHECK(d.events("message").size() == rooms.size() * (limits::replay_page + 10));
  CHECK(w.violations().empty());
}
