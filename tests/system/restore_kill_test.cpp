// `maru restore` and `maru backup` killed at each call that changes anything on the disk.

#include <fstream>

#include "storage/backup.hpp"
#include "tests/support/bad_disk.hpp"
#include "tests/support/command.hpp"
#include "tests/unit/storage_kit.hpp"

namespace maru::tests {
namespace {

namespace fs = std::filesystem;
using namespace storage::tests;
using storage::append_event;
using storage::create_room;

const auto room = id_of('r', 1);

void fill(bench& b, std::uint64_t from, std::uint64_t to) {
  if (from == 1) b.must({create_room{room_of(room)}});
  for (auto seq = from; seq <= to; ++seq)
    b.must({append_event{event_of(room, seq, id_of('e', seq))}});
}

std::uint64_t events_in(bench& b) {
  std::size_t out = 0;
  CHECK(b.look([&](storage::reader& from) {
           out = from.events_after(room, 0, 1000, 1'000'000).size();
         }).empty());
  return out;
}

std::vector<fs::path> files_like(const fs::path& folder, const std::string& part) {
  std::vector<fs::path> out;
  for (const auto& f : fs::directory_iterator(folder))
    if (f.path().filename().string().find(part) != std::string::npos) out.push_back(f.path());
  return out;
}

// Runs an order of maru on the folder, killed in place of the n-th change. False: it made fewer.
bool killed(const bad_disk& disk, int at, const std::string& order, const fs::path& file,
            const fs::path& data) {
  disk->changes = 0;
  disk->dies_at = at;
  std::vector<std::string> words{"/usr/bin/env"};
  for (const auto& v : disk.environment())
    words.push_back(v);
  for (const auto& w :
       {std::string{MARU_BINARY}, order, file.string(), std::string{"--set"}, "server.data=" + data.string()})
    words.push_back(w);
  const auto how = run(words);
  CAPTURE(how.err);
  CHECK((how.status == 0 || how.status == -1));
  return how.status != 0;
}

constexpr std::uint64_t old_events = 9, new_events = 5;

} // namespace

TEST_CASE("a restore killed at whichever call leaves the old database or the new one, whole") {
  const bad_disk disk(MARU_BAD_DISK);
  temp_folder aside(memory_place());
  bench from({}, memory_place());
  fill(from, 1, new_events);
  storage::back_up(from.folder().url(), aside.file());
  bool ended = false, was_old = false, was_new = false;
  for (int at = 1; !ended; ++at) {
    CAPTURE(at);
    REQUIRE(at < 200);
    bench b({}, memory_place());
    fill(b, 1, old_events);
    const auto database = b.folder().file(), folder = database.parent_path();
    // As a killed server leaves it: the newest commits are in the log.
    fs::copy_file(database.string() + "-wal", folder / "log");
    b.close();
    fs::rename(folder / "log", database.string() + "-wal");

    ended = !killed(disk, at, "restore", aside.file(), folder);
    b.reopen();
    const auto there = events_in(b);
    CHECK((there == old_events || there == new_events));
    (there == old_events ? was_old : was_new) = true;
    CHECK((there == new_events || !ended));
    b.close();
    // Once more: it goes through, nothing of the first try is left, and what was there before still is.
    REQUIRE_FALSE(killed(disk, 0, "restore", aside.file(), folder));
    CHECK(files_like(folder, ".partial-").empty());
    b.reopen();
    CHECK(events_in(b) == new_events);
    b.close();
    bool kept = false;
    for (const auto& file : files_like(folder, ".before-restore-")) {
      storage::restore(b.folder().url(), file, 0);
      b.reopen();
      kept = kept || events_in(b) == old_events;
      b.close();
    }
    CHECK(kept);
  }
  CHECK(was_old);
  CHECK(was_new);
}

TEST_CASE("a backup killed at whichever call leaves no copy that is not whole, and the next one clears up") {
  const bad_disk disk(MARU_BAD_DISK);
  bench b({}, memory_place());
  fill(b, 1, old_events);
  const auto database = b.folder().file(), folder = database.parent_path();
  bool ended = false;
  for (int at = 1; !ended; ++at) {
    CAPTURE(at);
    REQUIRE(at < 200);
    temp_folder aside(memory_place());
    ended = !killed(disk, at, "backup", aside.file(), folder);
    if (!fs::exists(aside.file())) REQUIRE_FALSE(killed(disk, 0, "backup", aside.file(), folder));
    CHECK(files_like(aside.file().parent_path(), ".partial-").empty());
    bench other({}, memory_place());
    other.close();
    storage::restore(other.folder().url(), aside.file(), 0);
    other.reopen();
    CHECK(events_in(other) == old_events);
  }
}

} // namespace maru::tests
