#include <algorithm>

#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

const auto room = id_of('r', 1);

std::uint64_t head(bench& b) {
  std::uint64_t out = 0;
  CHECK(b.look([&](reader& r) { out = r.room(room).value().head; }).empty());
  return out;
}

part event(std::uint64_t seq) { return append_event{event_of(room, seq, id_of('e', seq))}; }

} // namespace

TEST_CASE("what was answered is there after the store was opened again") {
  bench b;
  b.must({create_room{room_of(room)}, event(1)});
  b.reopen();
  CHECK(head(b) == 1);
  CHECK(b.look([](reader& r) {
           const auto got = r.event(room, id_of('e', 1)).value();
           CHECK(got.kind == "message");
           CHECK(got.data == R"({"text":"1"})");
           CHECK(got.author.name == "Ana");
           CHECK(r.room(room).value().agents == std::vector<std::string>{"maru", "second"});
           CHECK(r.room(room).value().active_at == 1001);
         }).empty());
}

TEST_CASE("a refused step is undone whole, the steps grouped with it stand") {
  bench b;
  b.must({create_room{room_of(room)}});
  const auto first = b.put({event(1)});
  // Writes an event and an entry before its last part is refused.
  const auto refused =
      b.put({event(2), enqueue{entry_of("m", id_of('n', 1))}, remove_entry{"m", id_of('n', 9)}});
  const auto second = b.put({append_event{event_of(room, 2, id_of('e', 20))}});
  const auto again = b.put({append_event{event_of(room, 2, id_of('e', 21))}});
  b.group();
  CHECK(b.outcomes[first].why == failure::none);
  CHECK(b.outcomes[refused].why == failure::conflict);
  CHECK(b.outcomes[second].why == failure::none);
  CHECK(b.outcomes[again].why == failure::conflict);
  b.reopen();
  CHECK(b.look([](reader& r) {
           CHECK(r.room(room).value().head == 2);
           CHECK_FALSE(r.event(room, id_of('e', 2)));
           CHECK(r.event(room, id_of('e', 20)));
           CHECK(r.entries("m", 10).empty());
         }).empty());
}

TEST_CASE("several refused steps of one group leave nothing behind") {
  bench b;
  b.must({create_room{room_of(room)}});
  for (std::uint64_t n = 1; n <= 20; ++n) {
    b.put({enqueue{entry_of("m", id_of('n', n))},
           remove_entry{"m", n % 3 == 0 ? id_of('x', n) : id_of('n', n)},
           enqueue{entry_of("kept", id_of('n', n))}});
  }
  b.group();
  std::size_t stood = 0;
  for (std::size_t n = 1; n <= 20; ++n) {
    CHECK(b.outcomes[n].why == (n % 3 == 0 ? failure::conflict : failure::none));
    stood += n % 3 == 0 ? 0 : 1;
  }
  CHECK(b.it().count().groups == 2);
  CHECK(b.look([&](reader& r) {
           CHECK(r.entries("m", 100).empty());
           CHECK(r.entries("kept", 100).size() == stood);
         }).empty());
}

TEST_CASE("steps are answered in the order in which they were submitted") {
  bench b;
  b.must({create_room{room_of(room)}});
  for (std::uint64_t seq = 1; seq <= 10; ++seq)
    b.put({event(seq == 5 ? 50 : seq < 5 ? seq : seq - 1)});
  b.group();
  REQUIRE(b.order.size() == 11);
  for (std::size_t n = 0; n < b.order.size(); ++n) {
    CHECK(b.order[n] == n);
    CHECK(b.outcomes[n].why == (n == 5 ? failure::conflict : failure::none));
  }
}

TEST_CASE("an event that does not follow the head is a conflict") {
  bench b;
  b.must({create_room{room_of(room)}, event(1)});
  CHECK(b.commit({event(1)}).why == failure::conflict);
  CHECK(b.commit({event(3)}).why == failure::conflict);
  CHECK(b.commit({append_event{event_of(room, 2, id_of('e', 1))}}).why == failure::conflict); // id in use
  CHECK(b.commit({append_event{event_of(id_of('r', 9), 1, id_of('e', 9))}}).why == failure::conflict);
  CHECK(head(b) == 1);
  CHECK(b.commit({event(2)}).why == failure::none);
}

TEST_CASE("a command taken before is answered with what it did, in the same group and for ever") {
  bench b;
  b.must({create_room{room_of(room)}});
  const auto e = event_of(room, 1, id_of('e', 1));
  auto command = command_of(e, id_of('c', 1));
  command.mark[31] = '\x7f';
  command.answers = R"([{"answer":"x","agent":"maru"}])";
  auto resend = command;
  resend.seq = 2;
  b.put({record_command{command}, append_event{e}});
  const auto inside = b.put({append_event{event_of(room, 2, id_of('e', 2))}, record_command{resend}});
  b.group();
  b.reopen();
  const auto later = b.put({record_command{resend}, append_event{event_of(room, 2, id_of('e', 2))}});
  b.group();
  for (const auto n : {inside, later}) {
    const auto& o = b.outcomes[n];
    CHECK(o.why == failure::duplicate);
    REQUIRE(o.duplicate_of);
    CHECK(o.duplicate_of->seq == 1);
    CHECK(o.duplicate_of->event == id_of('e', 1));
    CHECK(o.duplicate_of->mark == command.mark);
    CHECK(o.duplicate_of->answers == command.answers);
  }
  CHECK(head(b) == 1);
}

TEST_CASE("the same command id is another command of another author and in another room") {
  bench b;
  const auto other = id_of('r', 2);
  b.must({create_room{room_of(room)}, create_room{room_of(other)}});
  auto mine = command_of(event_of(room, 1, id_of('e', 1)), id_of('c', 1));
  auto theirs = mine;
  theirs.author = id_of('u', 2);
  auto elsewhere = mine;
  elsewhere.room = other;
  b.must({record_command{mine}});
  b.must({record_command{theirs}});
  b.must({record_command{elsewhere}});
  CHECK(b.commit({record_command{theirs}}).why == failure::duplicate);
}

TEST_CASE("a step under an older epoch is refused, in every shard, and leaves nothing") {
  bench b;
  const auto old = b.epoch;
  b.must({create_room{room_of(room)}});
  CHECK(b.it().claim_shards("there") == old + 1);
  for (const auto shard : {0U, 1U, shard_count - 1}) {
    const auto n = b.put_under({shard, old}, {event(1)});
    b.group();
    CHECK(b.outcomes[n].why == failure::fenced);
  }
  CHECK(head(b) == 0);
  const auto nowhere = b.put_under({shard_count, old + 1}, {event(1)});
  const auto now = b.put_under({7, old + 1}, {event(1)});
  b.group();
  CHECK(b.outcomes[nowhere].why == failure::fenced);
  CHECK(b.outcomes[now].why == failure::none);
}

TEST_CASE("each opening raises the epoch, so that the owner before is fenced") {
  bench b;
  const auto before = b.epoch;
  b.reopen();
  CHECK(b.epoch == before + 1);
}

TEST_CASE("the counters tell what was done and what waits") {
  bench b;
  b.put({create_room{room_of(room)}});
  b.put({create_room{room_of(room)}});
  CHECK(b.it().count().queued_steps == 2);
  CHECK(b.it().count().queued_bytes > 0);
  b.group();
  const auto c = b.it().count();
  CHECK(c.queued_steps == 0);
  CHECK(c.queued_bytes == 0);
  CHECK(c.steps == 2);
  CHECK(c.groups == 1);
  CHECK(c.refused == 1);
}

TEST_CASE("shards are the same on every node") {
  CHECK(shard_of(uuid{}) == 220);
  std::vector<bool> met(shard_count);
  for (std::uint64_t n = 0; n < 5000; ++n) {
    const auto shard = shard_of(id_of('r', n));
    REQUIRE(shard < shard_count);
    met[shard] = true;
  }
  CHECK(std::count(met.begin(), met.end(), true) == shard_count);
}
