#include <limits>
#include <stdexcept>

#include "config/limits.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

const auto room = id_of('r', 1);
constexpr auto all = std::numeric_limits<std::size_t>::max();

std::vector<std::uint64_t> seqs(const std::vector<event_row>& events) {
  std::vector<std::uint64_t> out;
  for (const auto& e : events)
    out.push_back(e.seq);
  return out;
}

using list = std::vector<std::uint64_t>;

// A room with events 1 to n, each the child of the one before.
void fill(bench& b, std::uint64_t n) {
  std::vector<part> parts{create_room{room_of(room)}};
  for (std::uint64_t seq = 1; seq <= n; ++seq) {
    auto e = event_of(room, seq, id_of('e', seq));
    e.data = std::string(10, 'x');
    if (seq > 1) e.parent = id_of('e', seq - 1);
    parts.emplace_back(append_event{e});
  }
  b.must(std::move(parts));
}

} // namespace

TEST_CASE("events are read ascending, bounded by number and by bytes, and one comes at least") {
  bench b;
  fill(b, 9);
  CHECK(b.look([](reader& r) {
           CHECK(seqs(r.events_after(room, 0, 3, all)) == list{1, 2, 3});
           CHECK(seqs(r.events_after(room, 7, 3, all)) == list{8, 9});
           CHECK(seqs(r.events_after(room, 0, all, 35)) == list{1, 2, 3});
           CHECK(seqs(r.events_after(room, 0, all, 1)) == list{1});
           CHECK(seqs(r.events_before(room, 5, 2, all)) == list{3, 4});
           CHECK(seqs(r.events_before(room, 5, all, 25)) == list{3, 4});
           CHECK(r.events_before(room, 1, 5, all).empty());
           CHECK(r.events_after(id_of('r', 9), 0, 5, all).empty());
         }).empty());
}

TEST_CASE("numbers from outside that no database can count with mean the end") {
  bench b;
  fill(b, 3);
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  CHECK(b.look([](reader& r) {
           CHECK(r.events_after(room, most, 5, all).empty());
           CHECK(r.events_after(room, most / 2 + 1, 5, all).empty());
           CHECK(seqs(r.events_before(room, most, 5, all)) == list{1, 2, 3});
           CHECK(r.events_before(room, 0, 5, all).empty());
         }).empty());
}

TEST_CASE("a chain goes up from its event, within its bounds, and cannot run in a circle") {
  bench b;
  fill(b, 5);
  auto own = event_of(room, 6, id_of('e', 6));
  own.parent = own.id;
  b.must({append_event{own}});
  CHECK(b.look([](reader& r) {
           CHECK(seqs(r.chain(room, id_of('e', 4), all, all)) == list{4, 3, 2, 1});
           CHECK(seqs(r.chain(room, id_of('e', 4), 2, all)) == list{4, 3});
           CHECK(seqs(r.chain(room, id_of('e', 4), all, 25)) == list{4, 3});
           CHECK(seqs(r.chain(room, id_of('e', 4), all, 1)) == list{4});
           CHECK(seqs(r.chain(room, id_of('e', 6), all, all)) == list{6});
           CHECK(r.chain(room, id_of('e', 4), 0, all).empty());
           CHECK(r.chain(id_of('r', 9), id_of('e', 4), all, all).empty());
           CHECK(r.chain(room, id_of('e', 99), all, all).empty());
         }).empty());
}

TEST_CASE(
    "an image holds what a room needs: members, unfinished answers, joined checkpoints, commands, tail") {
  bench b;
  const auto first = event_of(room, 1, id_of('e', 1));
  const auto second = event_of(room, 2, id_of('e', 2));
  b.must({create_room{room_of(room)}, add_member{{room, id_of('u', 1), "owner", 5, 0}},
          record_command{command_of(first, id_of('c', 1))}, append_event{first},
          open_answer{answer_of(id_of('a', 1), first)},
          open_answer{answer_of(id_of('a', 3), first, "second")}});
  b.must({record_command{command_of(second, id_of('c', 2))}, append_event{second},
          open_answer{answer_of(id_of('a', 2), second)}});
  b.must({begin_attempt{id_of('a', 1), 1, 0}, append_checkpoint{{id_of('a', 1), 1, 4, "old "}}});
  b.must({begin_attempt{id_of('a', 1), 2, 1}, append_checkpoint{{id_of('a', 1), 2, 3, "new "}}});
  b.must({append_checkpoint{{id_of('a', 1), 2, 12, "text"}, 3}, begin_attempt{id_of('a', 2), 1, 0}});
  b.must({append_event{event_of(room, 3, id_of('e', 3), "room_changed")}});
  CHECK(b.look([](reader& r) {
           const auto image = r.image(room, 1).value();
           CHECK(image.room.head == 3);
           CHECK(image.members.at(0).role == "owner");
           REQUIRE(image.unfinished.size() == 3);
           CHECK(image.unfinished[0].id == id_of('a', 1));
           CHECK(image.unfinished[0].attempt == 2);
           CHECK(image.unfinished[0].provider_failures == 1);
           CHECK(image.unfinished[1].id == id_of('a', 2));
           REQUIRE(image.checkpoints.size() == 1);
           CHECK(image.checkpoints[0].text == "new text");
           CHECK(image.checkpoints[0].n == 12);
           CHECK(image.checkpoints[0].attempt == 2);
           REQUIRE(image.recent.size() == 1);
           CHECK(image.recent[0].id == id_of('c', 2));
           CHECK(image.tail.value().seq == 2);
           const auto whole = r.image(room, 2).value();
           CHECK(whole.recent.at(0).id == id_of('c', 1));
           CHECK(r.unfinished_of(id_of('u', 1)) == 2);
           CHECK_FALSE(r.image(id_of('r', 9), 5));
         }).empty());
}

TEST_CASE("a room's recent commands are sought among the newest of all, and older ones by their id") {
  bench b;
  const auto quiet = event_of(room, 1, id_of('e', 1));
  const auto busy = id_of('r', 2);
  b.must({create_room{room_of(room)}, record_command{command_of(quiet, id_of('c', 1))}});
  for (std::uint64_t n = 1; n < limits::commands_read_for_one; ++n)
    b.must({record_command{command_of(event_of(busy, n, id_of('e', 1 + n)), id_of('c', 1 + n))}});
  const auto found = [&](std::size_t most) {
    std::size_t out = 0;
    CHECK(b.look([&](reader& r) { out = r.image(room, most).value().recent.size(); }).empty());
    return out;
  };
  CHECK(found(1) == 1);
  b.must({record_command{command_of(event_of(busy, 99, id_of('e', 99)), id_of('c', 99))}});
  CHECK(found(1) == 0);
  CHECK(found(2) == 1);
  CHECK(b.look([&](reader& r) { CHECK(r.command(room, quiet.author.id, id_of('c', 1))); }).empty());
}

TEST_CASE("an answer ends once, takes its checkpoints along and becomes the tail") {
  bench b;
  const auto question = event_of(room, 1, id_of('e', 1));
  b.must({create_room{room_of(room)}, append_event{question}, open_answer{answer_of(id_of('a', 1), question)},
          open_answer{answer_of(id_of('a', 2), question)}});
  b.must({begin_attempt{id_of('a', 1), 1, 0}, append_checkpoint{{id_of('a', 1), 1, 1, "text"}}});
  CHECK(b.commit({append_checkpoint{{id_of('a', 1), 2, 2, "ahead"}}}).why == failure::conflict);
  b.must({end_answer{id_of('a', 1), 2, id_of('e', 2)},
          append_event{event_of(room, 2, id_of('e', 2), "answer")}});
  b.must({append_event{event_of(room, 3, id_of('e', 3), "answer_stopped")},
          end_answer{id_of('a', 2), 3, id_of('e', 3)}});
  CHECK(b.commit({end_answer{id_of('a', 1), 4, id_of('e', 4)}}).why == failure::conflict);
  CHECK(b.commit({begin_attempt{id_of('a', 1), 2, 0}}).why == failure::conflict);
  CHECK(b.commit({append_checkpoint{{id_of('a', 1), 1, 2, "late"}, 1}}).why == failure::conflict);
  CHECK(b.look([](reader& r) {
           const auto image = r.image(room, 5).value();
           CHECK(image.unfinished.empty());
           CHECK(image.checkpoints.empty());
           CHECK(image.tail.value().seq == 2);
           CHECK(seqs(r.answers_to(room, id_of('e', 1))) == list{2});
           CHECK(r.answer(id_of('a', 2)).value().end_seq == 3U);
           CHECK(r.answer(id_of('a', 2)).value().end_event == id_of('e', 3));
           CHECK(r.unfinished_of(id_of('u', 1)) == 0);
         }).empty());
}

TEST_CASE("the rooms of a person come by activity, in pages, with what is unread") {
  bench b;
  const auto me = id_of('u', 1);
  for (std::uint64_t n = 1; n <= 5; ++n) {
    const auto at = static_cast<std::int64_t>(n < 4 ? 100 : 50); // equal times are told apart by the id
    b.must({create_room{room_of(id_of('r', n), at)}, add_member{{id_of('r', n), me, "owner", 5, 1}}});
  }
  b.must(
      {create_room{room_of(id_of('r', 6), 900)}, add_member{{id_of('r', 6), id_of('u', 2), "owner", 5, 0}}});
  b.must({add_member{{id_of('r', 5), id_of('u', 2), "member", 5, 0}}});
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    auto event = event_of(id_of('r', 5), seq, id_of('e', seq));
    event.author.id = id_of('u', 2);
    b.must({append_event{std::move(event)}});
  }
  CHECK(b.look([&](reader& r) {
           std::vector<uuid> met;
           std::optional<rooms_cursor> cursor;
           for (int page = 0; page < 4; ++page)
             for (const auto& s : r.rooms_of(me, cursor, 2)) {
               met.push_back(s.room.id);
               cursor = rooms_cursor{s.room.active_at, s.room.id};
             }
           CHECK(met == std::vector<uuid>{id_of('r', 5), id_of('r', 3), id_of('r', 2), id_of('r', 1),
                                          id_of('r', 4)});
           const auto top = r.rooms_of(me, std::nullopt, 2);
           CHECK(top.at(0).unread == 2);
           CHECK(top.at(0).read == 1);
           CHECK(top.at(0).members == 2);
           CHECK(top.at(0).last.value().seq == 3);
           CHECK(top.at(1).unread == 0);
           CHECK_FALSE(top.at(1).last);
         }).empty());
  b.must({remove_member{id_of('r', 5), id_of('u', 2)}});
  b.must({remove_member{id_of('r', 5), id_of('u', 2)}});
  CHECK(b.look([&](reader& r) {
           CHECK(r.rooms_of(me, std::nullopt, 1).at(0).members == 1);
           CHECK_FALSE(r.member(id_of('r', 5), id_of('u', 2)));
           CHECK(r.member(id_of('r', 5), me).value().last_read == 1);
         }).empty());
}

TEST_CASE("what a member has read moves forward only, and only theirs") {
  bench b;
  const auto me = id_of('u', 1);
  const auto other = id_of('u', 2);
  b.must({create_room{room_of(room)}, add_member{{room, me, "owner", 5, 0}},
          add_member{{room, other, "member", 5, 0}}, create_room{room_of(id_of('r', 2))},
          add_member{{id_of('r', 2), me, "owner", 5, 0}}});
  for (std::uint64_t seq = 1; seq <= 4; ++seq) {
    auto event = event_of(room, seq, id_of('e', seq), "answer");
    event.author = {"agent", {}, "maru"};
    b.must({append_event{std::move(event)}});
  }
  const auto unread_of = [&](const uuid& account) {
    std::uint64_t unread = 99;
    CHECK(b.look([&](reader& r) { unread = r.room_for(room, account).value().unread; }).empty());
    return unread;
  };
  CHECK(unread_of(me) == 4);
  b.must({mark_read{room, {{me, 3}, {id_of('u', 9), 4}}}});
  CHECK(unread_of(me) == 1);
  CHECK(unread_of(other) == 4);
  b.must({mark_read{room, {{me, 2}, {other, 1}}}});
  CHECK(unread_of(me) == 1);
  CHECK(unread_of(other) == 3);
  b.must({mark_read{room, {{me, 900}}}});
  CHECK(unread_of(me) == 0);
  CHECK(b.look([&](reader& r) {
           CHECK_FALSE(r.member(room, id_of('u', 9)));
           CHECK(r.member(id_of('r', 2), me).value().last_read == 0);
         }).empty());
  b.reopen();
  CHECK(unread_of(me) == 0);
  CHECK(unread_of(other) == 3);
}

TEST_CASE("whoever wrote the newest event of a room has read all of it") {
  bench b;
  const auto me = id_of('u', 1);
  b.must({create_room{room_of(room)}, add_member{{room, me, "owner", 5, 0}},
          add_member{{room, id_of('u', 2), "member", 5, 0}}});
  for (std::uint64_t seq = 1; seq <= 2; ++seq)
    b.must({append_event{event_of(room, seq, id_of('e', seq))}}); // by u1
  CHECK(b.look([&](reader& r) {
           CHECK(r.room_for(room, me).value().unread == 0);
           CHECK(r.room_for(room, me).value().read == 2);
           CHECK(r.rooms_of(me, std::nullopt, 1).at(0).unread == 0);
           CHECK(r.room_for(room, id_of('u', 2)).value().unread == 2);
           CHECK(r.image(room, 1).value().last.value().seq == 2);
         }).empty());
}

TEST_CASE("a room changes what it is told to change; members are of rooms that are there, once") {
  bench b;
  b.must({create_room{room_of(room)}, add_member{{room, id_of('u', 1), "owner", 5, 0}}});
  CHECK(b.commit({create_room{room_of(room)}}).why == failure::conflict);
  CHECK(b.commit({add_member{{room, id_of('u', 1), "owner", 5, 0}}}).why == failure::conflict);
  CHECK(b.commit({add_member{{id_of('r', 2), id_of('u', 1), "owner", 5, 0}}}).why == failure::conflict);
  b.must({change_room{room, "title", std::nullopt}});
  b.must({change_room{room, std::nullopt, std::vector<std::string>{"a \"quoted\" name"}}});
  CHECK(b.commit({change_room{id_of('r', 2), "title", std::nullopt}}).why == failure::conflict);
  CHECK(b.look([](reader& r) {
           CHECK(r.room(room).value().title == "title");
           CHECK(r.room(room).value().agents == std::vector<std::string>{"a \"quoted\" name"});
           CHECK(r.image(room, 1).value().members.size() == 1);
         }).empty());
}

TEST_CASE("what a job throws is a failed read, and the next read is had") {
  bench b;
  fill(b, 2);
  CHECK(b.look([](reader&) { throw read_error{"not for you"}; }) == "not for you");
  CHECK(b.look([](reader&) { throw std::runtime_error("odd"); }) == "odd");
  CHECK_FALSE(b.look([](reader&) { throw 7; }).empty());
  CHECK(b.look([](reader& r) { CHECK(r.room(room)); }).empty());
}
