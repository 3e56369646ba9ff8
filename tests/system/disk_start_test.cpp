// What a server finds at its start: whatever is wrong, it says so in words that tell what to do, and changes
// nothing; what is only left over from a kill, it takes up.

#include <fstream>

#include "storage/sqlite_statement.hpp"
#include "tests/support/command.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/talker.hpp"

namespace maru::tests {
namespace {

namespace fs = std::filesystem;
using storage::sqlite::connection;

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void overwrite(const fs::path& file, std::uint64_t from, std::size_t size) {
  std::fstream to(file, std::ios::binary | std::ios::in | std::ios::out);
  to.seekp(static_cast<std::streamoff>(from));
  for (std::size_t i = 0; i < size; ++i)
    to.put(static_cast<char>('a' + i % 7));
}

// A server that has ended, and somebody who knows what is in it.
struct stopped_house {
  stopped_house() : ann(h, "ann") { ann.post_many(30); }

  [[nodiscard]] fs::path database() const { return h.server.data() / "maru.db"; }
  [[nodiscard]] fs::path beside(const std::string& suffix) const { return database().string() + suffix; }
  ran maru(const std::string& order, const fs::path& file) {
    return run({MARU_BINARY, order, file.string(), "--set", "server.data=" + h.server.data().string()});
  }
  void check_refused(const std::vector<std::string>& words) {
    h.server.begin_start();
    CHECK(h.server.wait_end() == 1);
    for (const auto& w : words)
      check_said(h.server, w);
  }
  void check_goes_on() {
    h.server.start();
    ann.check_all();
    CHECK(ann.post() == 202);
  }

  house h{MARU_BINARY};
  talker ann;
};

} // namespace

TEST_CASE(
    "a damaged, foreign or missing database is refused in words, and the backup restored over it works") {
  struct damage {
    std::string what;
    std::function<void(const stopped_house&)> done;
    std::vector<std::string> words;
  };
  const auto [what, done, words] = GENERATE(values<damage>({
      {"its head",
       [](const auto& s) { overwrite(s.database(), 0, 100); },
       {"not a database", "maru restore"}},
      {"cut in the middle",
       [](const auto& s) { fs::resize_file(s.database(), 40'960); },
       {"malformed", "maru restore"}},
      {"cut to nothing",
       [](const auto& s) { fs::resize_file(s.database(), 0); },
       {"gone or empty", "maru restore"}},
      {"removed", [](const auto& s) { fs::remove(s.database()); }, {"gone or empty", "maru restore"}},
      {"a text",
       [](const auto& s) { std::ofstream(s.database()) << std::string(10'000, 'x'); },
       {"not a database"}},
      {"another program's",
       [](const auto& s) {
         fs::remove(s.database());
         std::ofstream{s.database()};
         connection(s.database(), connection::mode::write).script("CREATE TABLE theirs(x)");
       },
       {"another program", "storage.url"}},
      {"of a newer maru",
       [](const auto& s) {
         connection(s.database(), connection::mode::write).script("PRAGMA user_version = 1000");
       },
       {"schema version 1000", "newer maru"}},
  }));
  DYNAMIC_SECTION(what) {
    stopped_house s;
    const auto copy = s.h.server.directory() / "copy.db";
    REQUIRE(s.maru("backup", copy).status == 0);
    CHECK(s.h.server.terminate() == 0);
    done(s);
    const auto before = fs::exists(s.database()) ? bytes_of(s.database()) : "";
    s.check_refused(words);
    CHECK((fs::exists(s.database()) ? bytes_of(s.database()) : "") == before);
    const auto restored = s.maru("restore", copy);
    CAPTURE(restored.err);
    REQUIRE(restored.status == 0);
    s.check_goes_on();
  }
}

TEST_CASE("a copy put over the database of a killed server by hand does not get its log mixed in") {
  stopped_house s;
  const auto copy = s.h.server.directory() / "copy.db";
  REQUIRE(s.maru("backup", copy).status == 0);
  s.ann.post_many(5);
  s.h.server.kill();
  REQUIRE(fs::file_size(s.beside("-wal")) > 0);
  fs::copy_file(copy, s.database(), fs::copy_options::overwrite_existing);
  s.check_refused({"maru.db-wal is the log of another database", "maru restore"});
  REQUIRE(s.maru("restore", copy).status == 0);
  s.h.server.start();
  CHECK(all_events(s.h.address(), s.ann.who(), s.ann.room()).size() == 30);
}

TEST_CASE("a start takes up what a kill left, whatever became of the index of the log") {
  stopped_house s;
  s.h.server.kill();
  REQUIRE(fs::file_size(s.beside("-wal")) > 0);
  SECTION("as it was left") {}
  SECTION("garbage in the index") { overwrite(s.beside("-shm"), 0, 32'768); }
  SECTION("no index") { fs::remove(s.beside("-shm")); }
  SECTION("the torn end of a commit that was not told of") {
    std::ofstream(s.beside("-wal"), std::ios::app | std::ios::binary) << std::string(5'000, 'x');
  }
  s.check_goes_on();
}

TEST_CASE("a place that cannot be used is refused in words") {
  server_options options;
  SECTION("a folder where the database should be") {
    server_process server(MARU_BINARY, options);
    fs::create_directories(server.data() / "maru.db");
    server.begin_start();
    CHECK(server.wait_end() == 1);
    check_said(server, "Is a directory; name another place");
  }
  SECTION("a file where the folder should be") {
    server_process server(MARU_BINARY, options);
    std::ofstream{server.data()};
    server.begin_start();
    CHECK(server.wait_end() == 1);
    check_said(server, "Not a directory; name another place");
  }
}

TEST_CASE("a start on a full or read-only disk says so, and with that mended the server starts") {
  small_disk disk;
  if (!disk.mounted()) return;
  server_options options;
  options.data = disk.data();
  SECTION("full from the beginning") {
    disk.fill();
    server_process server(MARU_BINARY, options);
    server.begin_start();
    CHECK(server.wait_end() == 1);
    check_said(server, "make room on the disk");
    disk.make_room();
    server.start();
  }
  house h(MARU_BINARY, test::answers(5, 1), options);
  talker ann(h, "ann");
  ann.post_many(10);
  h.server.kill();
  SECTION("full when it is started again") {
    disk.fill();
    h.server.begin_start();
    if (h.server.wait_ready()) { // what it has to write fits into the log that is there
      ann.check_all();
      h.server.kill();
    } else {
      CHECK(h.server.wait_end() == 1);
      check_said(h.server, "make room on the disk");
    }
    disk.make_room();
  }
  SECTION("read-only") {
    REQUIRE(disk.make_read_only(true));
    h.server.begin_start();
    CHECK(h.server.wait_end() == 1);
    check_said(h.server, "Read-only file system; make the file and its file system writable");
    REQUIRE(disk.make_read_only(false));
  }
  h.server.start();
  ann.check_all();
}

TEST_CASE("a database in which another program writes is refused in words", "[long]") {
  stopped_house s;
  CHECK(s.h.server.terminate() == 0);
  {
    connection other(s.database(), connection::mode::write);
    other.exec("BEGIN IMMEDIATE");
    s.check_refused({"another program holds the database: end it"});
  }
  s.check_goes_on();
}

} // namespace maru::tests
