// The simulator itself: its disk loses what it may and keeps what it must, a seed is a run, and a fault in
// the product does not go unseen.

#include <fstream>
#include <random>
#include <set>

#include "storage/store.hpp"
#include "tests/simulator/disk.hpp"
#include "tests/simulator/mutations.hpp"
#include "tests/simulator/simulation.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::test;
using namespace maru::storage::tests;

namespace {

const auto room = id_of('r', 1);

simulated_disk& disk_of(std::mt19937_64& random) {
  auto& disk = simulated_disk::instance();
  disk.begin([&](std::size_t n) { return static_cast<std::size_t>(random() % n); });
  return disk;
}

// The product looks at the file itself, too: an empty one would be a lost one.
struct simulated_bench : bench {
  simulated_bench() { std::ofstream(folder().file()) << "on the simulated disk"; }
};

std::vector<storage::part> event(std::uint64_t seq) {
  return {storage::append_event{event_of(room, seq, id_of('e', seq))}};
}

std::uint64_t head(bench& b) {
  std::uint64_t out = 0;
  CHECK(b.look([&](storage::reader& r) { out = r.room(room).value().head; }).empty());
  return out;
}

} // namespace

TEST_CASE("what was committed is there after a power cut, what was not may be") {
  std::mt19937_64 random{maru::tests::seed()};
  for (int i = 0; i < 20; ++i) {
    auto& disk = disk_of(random);
    simulated_bench b;
    b.must({storage::create_room{room_of(room)}});
    b.must(event(1));
    disk.die_after(random() % 6 + 1);
    const auto third = b.commit(event(2));
    b.close();
    disk.cut_power();
    b.reopen();
    CHECK(head(b) >= (third ? 2 : 1));
  }
}

TEST_CASE("without syncs a power cut loses what was committed, and a killed process does not") {
  std::mt19937_64 random{maru::tests::seed()};
  bool lost = false;
  for (int i = 0; i < 20; ++i) {
    auto& disk = disk_of(random);
    simulated_bench b;
    b.must({storage::create_room{room_of(room)}});
    disk.forget_syncs(true);
    b.must(event(1));
    CHECK_FALSE(disk.all_safe());
    disk.die();
    b.close();
    disk.revive();
    b.reopen();
    CHECK(head(b) == 1);
    disk.die();
    b.close();
    disk.cut_power();
    disk.forget_syncs(false);
    b.reopen();
    std::uint64_t kept = 0; // all may be gone
    b.look([&](storage::reader& r) { kept = r.room(room) ? r.room(room)->head : 0; });
    lost |= kept == 0;
  }
  CHECK(lost);
}

TEST_CASE("what a failed sync left unwritten, a later one does not bring to the disk") {
  std::mt19937_64 random{maru::tests::seed()};
  bool lost = false;
  for (int i = 0; i < 20; ++i) {
    auto& disk = disk_of(random);
    simulated_bench b;
    b.must({storage::create_room{room_of(room)}});
    disk.fail(disk_fault::sync_fails, 0, 1);
    CHECK(b.commit(event(1)).why == storage::failure::fatal);
    CHECK(b.fatal.size() == 1);
    lost |= !disk.all_safe();
    disk.die();
    b.close();
    disk.cut_power();
    b.reopen();
    CHECK(head(b) <= 1);
  }
  CHECK(lost);
}

// The log that could be read after it was not on the disk, and what followed in it was lost with it.
TEST_CASE("what is committed after a failed sync and a new start is there after a power cut") {
  std::mt19937_64 random{maru::tests::seed()};
  for (int i = 0; i < 20; ++i) {
    auto& disk = disk_of(random);
    simulated_bench b;
    b.must({storage::create_room{room_of(room)}});
    disk.fail(disk_fault::sync_fails, 0, 1);
    CHECK(b.commit(event(1)).why == storage::failure::fatal);
    disk.die();
    b.close();
    disk.revive();
    b.reopen();
    const auto next = head(b) + 1;
    b.must(event(next));
    disk.die();
    b.close();
    disk.cut_power();
    b.reopen();
    CHECK(head(b) == next);
  }
}

TEST_CASE("a seed is a run: the same each time, to the line") {
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    plan p;
    p.seed = seed;
    const auto one = simulate_apart(p);
    CHECK(one.wrong.empty());
    CHECK(simulate_apart(p).trace == one.trace);
    traces.insert(one.trace);
  }
  CHECK(traces.size() == 8);
}

TEST_CASE("a run that breaks a promise shrinks to fewer steps that break it as well") {
  const mutated in_force(mutation::event_told_twice);
  plan p;
  for (p.seed = 1; simulate_apart(p).wrong.empty();)
    ++p.seed;
  const auto whole = simulate_apart(p).steps;
  const auto small = shrink(p, 40);
  CHECK_FALSE(simulate_apart(small).wrong.empty());
  CHECK(small.steps - small.without.size() <= whole);
}

TEST_CASE("the table names every deliberate fault once") {
  std::set<std::string_view> names;
  for (const auto& m : mutations) {
    CHECK(names.insert(m.name).second);
    CHECK(mutation_of(m.name) == m.what);
  }
  CHECK(mutations.size() + 1 == static_cast<std::size_t>(mutation::sync_skipped) + 1);
}
