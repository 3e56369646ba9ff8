// What the store tells an operator.

#include "config/limits.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

observation observed(bench& b, std::int64_t now) {
  observation out;
  CHECK(b.look([&](reader& r) { out = r.observe(now); }).empty());
  return out;
}

std::uint64_t refused(const bench& b, failure why) {
  return b.counts->value(metric::store_refused, static_cast<std::size_t>(why));
}

} // namespace

TEST_CASE("mailboxes, unfinished answers and dead letters are observed", "[storage][metrics]") {
  bench b;
  const auto agents = [&](std::int64_t now) { return observed(b, now).mailboxes[0]; };
  CHECK(agents(1'000).entries == 0);
  CHECK_FALSE(agents(1'000).due_since);
  const auto question = event_of(id_of('r', 1), 1, id_of('e', 1));
  b.must({enqueue{entry_of("agent/a", id_of('n', 1), 300)}, enqueue{entry_of("agent/b", id_of('n', 2), 200)},
          enqueue{entry_of("agent/a", id_of('n', 3), 900)}, enqueue{entry_of("room/a", id_of('n', 4), 50)},
          enqueue{entry_of("room/b", id_of('n', 5), 5'000)}, create_room{room_of(id_of('r', 1))},
          append_event{question}, open_answer{answer_of(id_of('n', 1), question)},
          open_answer{answer_of(id_of('n', 2), question)}});
  CHECK_FALSE(agents(100).due_since);
  CHECK(agents(200).due_since == 200);
  CHECK(agents(1'000).entries == 3);
  CHECK(observed(b, 100).mailboxes[1].due_since == 50);
  CHECK(observed(b, 100).mailboxes[1].entries == 2);
  CHECK(observed(b, 1'000).unfinished == 2);
  b.must({bury_entry{"agent/b", id_of('n', 2), "poison", 1}, end_answer{id_of('n', 2), 2, id_of('e', 2)}});
  const auto now = observed(b, 1'000);
  CHECK(now.mailboxes[0].entries == 2);
  CHECK(now.mailboxes[0].due_since == 300);
  CHECK(now.unfinished == 1);
  REQUIRE(now.dead_by_reason.size() == 1);
  CHECK(now.dead_by_reason[0] == std::pair<std::string, std::uint64_t>{"poison", 1});
  CHECK(now.database_bytes > 0);
  CHECK(now.log_bytes > 0);
  CHECK(now.disk_free_bytes > 0);
}

TEST_CASE("counting what is there ends at a bound", "[storage][metrics]") {
  bench b({}, memory_place());
  std::vector<part> parts;
  for (std::uint64_t i = 0; i < limits::observed_rows + 1; ++i)
    parts.emplace_back(enqueue{entry_of("agent/a", id_of('n', i), 5)});
  b.must(std::move(parts));
  b.must({enqueue{entry_of("room/a", id_of('n', 0), 5)}});
  CHECK(observed(b, 10).mailboxes[0].entries == limits::observed_rows);
  CHECK(observed(b, 10).mailboxes[1].entries == 1); // not hidden by the others
}

TEST_CASE("steps are counted with their outcome, groups with their size", "[storage][metrics]") {
  bench b;
  b.put({enqueue{entry_of("a", id_of('n', 1))}});
  b.put({enqueue{entry_of("a", id_of('n', 1))}});
  b.put_under({0, b.epoch - 1}, {enqueue{entry_of("a", id_of('n', 2))}});
  b.group();
  b.must({enqueue{entry_of("a", id_of('n', 3))}});
  CHECK(b.counts->value(metric::store_steps) == 4);
  CHECK(refused(b, failure::conflict) == 1);
  CHECK(refused(b, failure::fenced) == 1);
  CHECK(refused(b, failure::none) == 0);
  CHECK(b.counts->value(metric::store_group_steps) == 2);
  CHECK(b.counts->value(metric::store_commit_seconds) == 2);
  CHECK(b.counts->value(metric::store_step_seconds) == 4);
}

TEST_CASE("what the disk refuses, and reads that fail, are counted", "[storage][metrics]") {
  bench b([](std::string_view operation) {
    if (operation == "commit") return failure::full;
    return operation == "read" ? failure::unavailable : failure::none;
  });
  CHECK(b.commit({enqueue{entry_of("a", id_of('n', 1))}}).why == failure::full);
  CHECK_FALSE(b.look([](reader&) {}).empty());
  CHECK(refused(b, failure::full) == 1);
  CHECK(b.counts->value(metric::store_commit_seconds) == 0);
  CHECK(b.counts->value(metric::store_reads_failed) == 1);
  CHECK(b.it().count().writes_fail);
  b.it().read([](reader&) {}, {});
  CHECK(b.it().count().queued_reads == 1);
}
