#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

#include "config/limits.hpp"
#include "storage/sqlite_file.hpp"
#include "storage/sqlite_reader.hpp"
#include "storage/sqlite_schema.hpp"
#include "storage/sqlite_writer.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

const auto room = id_of('r', 1);

// Everything that belongs to step n carries n.
std::vector<part> step_alone(std::uint64_t n) {
  const auto own = id_of('r', 100 + n);
  const auto e = event_of(own, 1, id_of('e', 100 + n));
  return {create_room{room_of(own)}, record_command{command_of(e, id_of('c', 100 + n))}, append_event{e},
          enqueue{entry_of("alone", id_of('n', 100 + n))}, open_answer{answer_of(id_of('a', 100 + n), e)}};
}

// Rests on the step before: its event has to follow.
std::vector<part> step_in_row(std::uint64_t seq) {
  const auto e = event_of(room, seq, id_of('e', seq));
  return {enqueue{entry_of("row", id_of('n', seq))}, record_command{command_of(e, id_of('c', seq))},
          append_event{e}};
}

constexpr std::uint64_t rounds = 4; // each one step of either kind, two rounds to a group

void run_scenario(bench& b) {
  b.put({create_room{room_of(room)}});
  b.group();
  for (std::uint64_t n = 1; n <= rounds; ++n) {
    b.put(step_alone(n));
    b.put(step_in_row(n));
    if (n % 2 == 0) b.group();
  }
}

void check_alone(reader& r, std::uint64_t n, bool there) {
  const auto own = id_of('r', 100 + n);
  CHECK(r.room(own).has_value() == there);
  CHECK(r.event(own, id_of('e', 100 + n)).has_value() == there);
  CHECK(r.command(own, id_of('u', 1), id_of('c', 100 + n)).has_value() == there);
  CHECK(r.answer(id_of('a', 100 + n)).has_value() == there);
  std::size_t entries = 0;
  for (const auto& e : r.entries("alone", 100))
    entries += e.id == id_of('n', 100 + n) ? 1 : 0;
  CHECK(entries == (there ? 1 : 0));
}

// After the scenario with one failure: what was answered `none` is there whole, the rest is not.
void check_scenario(bench& b, failure acted) {
  std::uint64_t in_row = 0;
  std::vector<bool> alone(rounds + 1);
  for (std::size_t i = 1; i < b.outcomes.size(); ++i) {
    const bool stood = b.outcomes[i].why == failure::none;
    if (!stood) CHECK((b.outcomes[i].why == acted || b.outcomes[i].why == failure::conflict));
    if (i % 2 == 1)
      alone[i / 2 + 1] = stood;
    else
      in_row += stood ? 1 : 0;
  }
  const bool room_stood = b.outcomes[0].why == failure::none;
  b.reopen();
  CHECK(b.look([&](reader& r) {
           for (std::uint64_t n = 1; n <= rounds; ++n)
             check_alone(r, n, alone[n]);
           const auto found = r.room(room);
           CHECK(found.has_value() == room_stood);
           CHECK((found ? found->head : 0) == in_row);
           CHECK(r.events_after(room, 0, 100, 1'000'000).size() == in_row);
           CHECK(r.entries("row", 100).size() == in_row);
           for (std::uint64_t seq = 1; seq <= rounds; ++seq)
             CHECK(r.command(room, id_of('u', 1), id_of('c', seq)).has_value() == (seq <= in_row));
         }).empty());
}

} // namespace

TEST_CASE("whatever fails at whichever point, each step is wholly there or wholly absent") {
  for (const auto acted : {failure::conflict, failure::unavailable, failure::full, failure::fatal}) {
    bool failed_once = true;
    for (std::size_t k = 1; failed_once; ++k) {
      INFO(word(acted) << " at operation " << k);
      failed_once = false;
      std::size_t asked = 0;
      const auto probe = [&](std::string_view) {
        if (++asked != k) return failure::none;
        failed_once = true;
        return acted;
      };
      bench b(probe, memory_place());
      run_scenario(b);
      REQUIRE(b.order.size() == b.outcomes.size());
      CHECK(b.fatal.size() == (failed_once && acted == failure::fatal ? 1 : 0));
      if (!failed_once) CHECK(b.it().count().refused == 0);
      check_scenario(b, acted);
      REQUIRE(k < 200);
    }
  }
}

TEST_CASE("a group that cannot be committed fails as one, and the next is taken") {
  for (const std::string at : {"begin", "commit", "apply:append_event"}) {
    bool broken = false;
    bench b([&](std::string_view operation) {
      return broken && operation == at ? failure::full : failure::none;
    });
    b.must({create_room{room_of(room)}});
    broken = true;
    b.put(step_alone(1));
    b.put({create_room{room_of(room)}}); // would be a conflict
    b.put(step_in_row(1));
    b.group();
    for (std::size_t i = 1; i <= 3; ++i)
      CHECK(b.outcomes[i].why == failure::full);
    CHECK(b.fatal.empty());
    CHECK(b.look([](reader& r) { CHECK(r.room(room).value().head == 0); }).empty());
    broken = false;
    b.must(step_in_row(1));
  }
}

TEST_CASE("a step refused once, after it had written, stays refused while its group is taken again") {
  bool once = true;
  bench b([&](std::string_view operation) {
    return operation == "apply:open_answer" && std::exchange(once, false) ? failure::unavailable
                                                                          : failure::none;
  });
  b.put(step_alone(1));
  b.put(step_alone(2));
  b.group();
  CHECK(b.outcomes[0].why == failure::unavailable);
  CHECK(b.outcomes[1].why == failure::none);
  CHECK(b.look([](reader& r) {
           check_alone(r, 1, false);
           check_alone(r, 2, true);
         }).empty());
}

TEST_CASE("after a fatal failure everything is refused as fatal, told of once, and reads go on") {
  bool broken = false;
  bench b([&](std::string_view operation) {
    return broken && operation == "commit" ? failure::fatal : failure::none;
  });
  b.must({create_room{room_of(room)}});
  broken = true;
  CHECK(b.commit(step_in_row(1)).why == failure::fatal);
  broken = false;
  CHECK(b.commit(step_in_row(1)).why == failure::fatal);
  CHECK(b.commit(step_alone(1)).why == failure::fatal);
  CHECK(b.fatal.size() == 1);
  CHECK(b.look([](reader& r) { CHECK(r.room(room).value().head == 0); }).empty());
}

TEST_CASE("a read that is to fail does, and says so") {
  bench b(
      [](std::string_view operation) { return operation == "read" ? failure::unavailable : failure::none; });
  CHECK(b.look([](reader&) { FAIL("the job ran"); }) == "unavailable");
}

TEST_CASE("a database without room refuses the whole group, and takes steps again once there is room") {
  const temp_folder folder;
  const sqlite::file_lock lock(folder.file());
  sqlite::connection db(lock.database(), sqlite::connection::mode::write);
  sqlite::migrate(db);
  db.use_log();
  const fault_probe none;
  metrics counts;
  sqlite::writer writer(db, none, counts);
  const auto commit = [&](const std::vector<std::vector<part>>& group) {
    std::vector<step> steps;
    for (const auto& parts : group)
      steps.push_back({{0, 0}, parts});
    std::vector<const step*> pointers;
    for (const auto& s : steps)
      pointers.push_back(&s);
    return writer.commit(pointers);
  };
  REQUIRE(commit({{create_room{room_of(room)}}}).at(0));
  auto big = event_of(room, 2, id_of('e', 2));
  big.data = std::string(1'000'000, 'x');
  std::int64_t pages = 0;
  {
    auto q = db.run("PRAGMA page_count");
    REQUIRE(q.next());
    pages = q.integer(0);
  }
  db.script("PRAGMA max_page_count = " + std::to_string(pages + 20));
  for (const auto& o : commit({step_in_row(1), {append_event{big}}, step_alone(1)}))
    CHECK(o.why == failure::full);
  CHECK_FALSE(db.in_transaction());
  CHECK(commit({step_in_row(1)}).at(0).why == failure::none);
  CHECK(commit({{append_event{big}}}).at(0).why == failure::full);
  db.script("PRAGMA max_page_count = 1000000");
  const auto after = commit({{append_event{big}}, step_alone(1)});
  CHECK(after.at(0).why == failure::none);
  CHECK(after.at(1).why == failure::none);
  const auto result = sqlite::read_snapshot(db, [](reader& r) { CHECK(r.room(room).value().head == 2); });
  CHECK_FALSE(result.failed);
}

TEST_CASE("beyond its bound the queue refuses at once, and takes steps again when it is empty") {
  bench b;
  std::vector<outcome> told;
  const auto heavy = [&] {
    auto e = entry_of("m", id_of('n', 1));
    e.body.assign(limits::store_queue_bytes / 2 + 1, 'x');
    // Under no epoch of anybody's: it takes room in the queue, not on the disk.
    b.it().submit({{0, 0}, {enqueue{std::move(e)}}}, [&](outcome o) { told.push_back(std::move(o)); });
  };
  heavy();
  CHECK(told.empty());
  heavy();
  REQUIRE(told.size() == 1);
  CHECK(told[0].why == failure::overloaded);
  b.group();
  REQUIRE(told.size() == 2);
  CHECK(told[1].why == failure::fenced);
  CHECK(b.commit({create_room{room_of(room)}}).why == failure::none);
}

TEST_CASE("beyond their bound reads are refused at once") {
  bench b;
  std::size_t ran = 0;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < limits::reads_waiting + 3; ++i)
    b.it().read([&](reader&) { ++ran; }, [&](const std::string&) { ++refused; });
  CHECK(refused == 3);
  b.group();
  CHECK(ran == limits::reads_waiting);
}

TEST_CASE("a group holds at most so many steps, and the rest comes with the next") {
  bench b;
  for (std::size_t i = 0; i <= limits::commit_group_steps; ++i)
    b.put({enqueue{entry_of("m", id_of('n', i))}});
  b.group();
  CHECK(b.order.size() == limits::commit_group_steps);
  b.group();
  CHECK(b.order.size() == limits::commit_group_steps + 1);
}

namespace {

std::unique_ptr<store> open_threads(const temp_folder& folder) {
  open_options options;
  options.url = folder.url();
  return open(std::move(options));
}

} // namespace

TEST_CASE("closing finishes what was submitted, also what completions and reads submit") {
  const temp_folder folder;
  std::atomic<int> answered = 0;
  std::atomic<int> read = 0;
  {
    auto s = open_threads(folder);
    const fence under{0, s->claim_shards("here")};
    for (std::uint64_t n = 1; n <= 200; ++n) {
      s->submit({under, step_alone(n)}, [&, n](const outcome& o) {
        answered += o ? 1 : 0;
        s->submit({under, step_alone(1000 + n)}, [&](const outcome& then) { answered += then ? 1 : 0; });
      });
      s->read(
          [&, n](reader&) {
            ++read;
            s->submit({under, step_alone(2000 + n)}, [&](const outcome& o) { answered += o ? 1 : 0; });
          },
          [](const std::string&) {});
    }
    // Jobs and completions use the store while it closes, which a reset unique_ptr would hide from them.
    auto* raw = s.get();
    delete raw;
    [[maybe_unused]] const auto* gone = s.release();
  }
  CHECK(answered == 600);
  CHECK(read == 200);
}

TEST_CASE("neither a completion nor a job that throws ends a thread of the store") {
  const temp_folder folder;
  auto s = open_threads(folder);
  const fence under{0, s->claim_shards("here")};
  s->submit({under, step_alone(1)}, [](const outcome&) { throw std::runtime_error("odd"); });
  s->submit({under, step_alone(2)}, {});
  for (int i = 0; i < 8; ++i)
    s->read([](reader&) { throw 7; }, [](const std::string&) { throw 8; });
  std::promise<failure> wrote;
  std::promise<bool> found;
  s->submit({under, step_alone(3)}, [&](const outcome& o) { wrote.set_value(o.why); });
  CHECK(wrote.get_future().get() == failure::none);
  s->read([&](reader& r) { found.set_value(r.room(id_of('r', 103)).has_value()); }, {});
  CHECK(found.get_future().get());
}

TEST_CASE("all calls of one read see one state, whatever is committed meanwhile") {
  const temp_folder folder;
  auto s = open_threads(folder);
  const fence under{0, s->claim_shards("here")};
  std::promise<std::pair<bool, bool>> seen;
  s->read(
      [&](reader& r) {
        const bool before = r.room(id_of('r', 101)).has_value();
        std::promise<void> committed;
        s->submit({under, step_alone(1)}, [&](const outcome&) { committed.set_value(); });
        committed.get_future().get();
        seen.set_value({before, r.room(id_of('r', 101)).has_value()});
      },
      {});
  CHECK(seen.get_future().get() == std::pair{false, false});
  std::promise<bool> later;
  s->read([&](reader& r) { later.set_value(r.room(id_of('r', 101)).has_value()); }, {});
  CHECK(later.get_future().get());
}

TEST_CASE("many threads submit at once: each step is answered once and is there") {
  const temp_folder folder;
  constexpr std::uint64_t each = 300;
  std::atomic<std::uint64_t> answered = 0;
  {
    auto s = open_threads(folder);
    const fence under{0, s->claim_shards("here")};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (std::uint64_t n = 0; n < each; ++n)
          s->submit({under, step_alone(t * each + n)}, [&](const outcome& o) { answered += o ? 1 : 0; });
      });
    for (auto& thread : threads)
      thread.join();
  }
  CHECK(answered == 4 * each);
  auto s = open_threads(folder);
  std::promise<std::size_t> found;
  s->read([&](reader& r) { found.set_value(r.entries("alone", 10'000).size()); }, {});
  CHECK(found.get_future().get() == 4 * each);
}
