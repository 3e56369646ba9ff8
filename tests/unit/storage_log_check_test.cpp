// The log that a kill left: torn at its end it is taken up, damaged in its middle it is refused.

#include "storage/sqlite_log_check.hpp"

#include "storage/backup.hpp"

#include <fstream>

#include "tests/unit/storage_kit.hpp"

using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

namespace fs = std::filesystem;

const auto room = id_of('r', 1);
constexpr std::uint64_t commits = 20;
constexpr std::size_t head = 32, frame = 24 + 4096;

// What a killed store leaves, with nothing in the database itself of what was committed last.
struct left_by_a_kill {
  left_by_a_kill() {
    bench b;
    b.must({create_room{room_of(room)}});
    for (std::uint64_t seq = 1; seq <= commits; ++seq)
      b.must({append_event{event_of(room, seq, id_of('e', seq))}});
    for (const auto* suffix : {"", "-wal"})
      fs::copy_file(b.folder().file().string() + suffix, folder.file().string() + suffix);
    frames = (fs::file_size(log()) - head) / frame;
    REQUIRE(frames > commits);
  }

  [[nodiscard]] fs::path log() const { return sqlite::log_of(folder.file()); }
  [[nodiscard]] bool refused() const { return !sqlite::objection_to_log(folder.file()).empty(); }
  void change(std::uint64_t at) const {
    std::fstream file(log(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    const auto was = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(was ^ 0x10));
  }
  // How many events a start finds; nothing when it is refused.
  [[nodiscard]] std::optional<std::size_t> found() const {
    open_options options;
    options.url = folder.url();
    options.threads = threading::manual;
    std::size_t out = 0;
    try {
      const auto s = open(std::move(options));
      s->read([&](reader& r) { out = r.events_after(room, 0, 1000, 1'000'000).size(); }, {});
      pump(*s);
    } catch (const open_error&) {
      return std::nullopt;
    }
    return out;
  }

  temp_folder folder;
  std::uint64_t frames = 0;
};

} // namespace

TEST_CASE("a log as a kill leaves it is taken up whole") {
  const left_by_a_kill left;
  CHECK_FALSE(left.refused());
  CHECK(left.found() == commits);
}

TEST_CASE(
    "whichever byte of an earlier commit in the log is another, the start is refused, and nothing changed") {
  const left_by_a_kill left;
  const auto size = fs::file_size(left.log());
  for (std::uint64_t at = 0; at + 2 * frame < size - 6 * frame; at += 997) {
    CAPTURE(at);
    left.change(at);
    CHECK(left.refused());
    CHECK_FALSE(left.found());
    CHECK(fs::file_size(left.log()) == size);
    left.change(at);
  }
  CHECK_FALSE(left.refused());
  CHECK(left.found() == commits);
}

TEST_CASE("a log whose beginning is blank is refused when commits that were acknowledged stand behind it") {
  const left_by_a_kill left;
  const auto size = fs::file_size(left.log());
  const std::size_t blank = head + GENERATE(0, 1, 3) * frame;
  CAPTURE(blank);
  {
    std::fstream file(left.log(), std::ios::binary | std::ios::in | std::ios::out);
    file << std::string(blank, '\0');
  }
  CHECK(left.refused());
  CHECK_FALSE(left.found());
  CHECK_THROWS_AS(back_up(left.folder.url(), left.folder.file().string() + ".copy"), open_error);
  CHECK(left.refused());
  CHECK(fs::file_size(left.log()) == size);
}

TEST_CASE("a copy of what a kill left is whole, and leaves it as it is") {
  const left_by_a_kill left;
  const auto size = fs::file_size(left.log());
  const auto copy = left.folder.file().string() + ".copy";
  back_up(left.folder.url(), copy);
  CHECK(fs::file_size(left.log()) == size);
  fs::rename(copy, left.folder.file());
  fs::remove(left.log());
  CHECK(left.found() == commits);
}

TEST_CASE(
    "a log whose beginning is blank and that has one commit at most may be the torn first of a new one") {
  const left_by_a_kill left;
  std::fstream file(left.log(), std::ios::binary | std::ios::in | std::ios::out);
  file << std::string(head + frame, '\0');
  file.close();
  for (auto frames = left.frames; left.refused(); --frames) {
    REQUIRE(frames > 0);
    fs::resize_file(left.log(), head + frames * frame);
  }
  CHECK(fs::file_size(left.log()) > head + frame);
  CHECK(left.found() == 0);
}

TEST_CASE("a log that is cut, torn in its last commit or followed by an older one is taken up to there") {
  const left_by_a_kill left;
  const auto size = fs::file_size(left.log());
  std::size_t least = commits - 1;
  SECTION("torn") { left.change(size - 100); }
  SECTION("cut") { fs::resize_file(left.log(), size - 100); }
  SECTION("cut to its head") {
    fs::resize_file(left.log(), head);
    least = 0;
  }
  SECTION("made and not written") {
    fs::resize_file(left.log(), 0);
    fs::resize_file(left.log(), size);
    least = 0;
  }
  SECTION("more behind it") {
    std::ofstream(left.log(), std::ios::binary | std::ios::app) << std::string(3 * frame, 'x');
    least = commits;
  }
  CHECK_FALSE(left.refused());
  const auto found = left.found();
  REQUIRE(found);
  CHECK(*found >= least);
  CHECK(*found <= commits);
}
