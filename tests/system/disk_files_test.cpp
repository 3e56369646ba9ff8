// The files of the database are taken away under the running server. Nothing that it acknowledged is lost
// with them, nothing is acknowledged into a file that nobody finds, and it says what to do.

#include <fstream>

#include "storage/backup.hpp"
#include "storage/sqlite_statement.hpp"
#include "tests/support/command.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/talker.hpp"

namespace maru::tests {
namespace {

namespace fs = std::filesystem;

struct open_house {
  explicit open_house(server_options options = {})
      : h(MARU_BINARY, test::answers(5, 1), std::move(options)), ann(h, "ann") {
    ann.post_many(20);
  }
  [[nodiscard]] fs::path folder() const { return h.server.data(); }
  [[nodiscard]] fs::path file(const std::string& name = "maru.db") const { return folder() / name; }

  // Whoever posts until then is told of nothing that is not there afterwards.
  void post_until_it_ends() {
    while (true) {
      try {
        if (ann.post() != 202) return;
      } catch (const std::exception&) {
        return; // the connection has ended
      }
    }
  }
  void check_ended() { CHECK(h.server.wait_end() == 1); }
  void check_goes_on() {
    h.server.start();
    ann.check_all();
    CHECK(ann.post() == 202);
  }

  house h;
  talker ann;
};

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE(
    "a database removed under the server is written anew before it ends, with all that was acknowledged") {
  open_house o;
  const bool at_work = GENERATE(true, false);
  SECTION("the file") { fs::remove(o.file()); }
  SECTION("the file and all beside it") {
    for (const auto* name : {"maru.db", "maru.db-wal", "maru.db-shm", "maru.db.lock"})
      fs::remove(o.file(name));
  }
  SECTION("the whole folder") { fs::remove_all(o.folder()); }
  if (at_work) o.post_until_it_ends();
  o.check_ended();
  check_said(o.h.server, "was removed while it was open. All of it has been written there anew: start again");
  o.check_goes_on();
}

TEST_CASE("a log removed or replaced under the server is moved into the database before it ends") {
  open_house o;
  SECTION("removed") { fs::remove(o.file("maru.db-wal")); }
  SECTION("replaced") {
    std::ofstream(o.file("other")) << std::string(10'000, 'x');
    fs::rename(o.file("other"), o.file("maru.db-wal"));
  }
  o.post_until_it_ends();
  o.check_ended();
  check_said(o.h.server, "What it held is in the database: start again");
  o.check_goes_on();
}

TEST_CASE("into a log that was cut under the server nothing is acknowledged, and no start passes over what "
          "is lost") {
  open_house o;
  const auto log = o.file("maru.db-wal");
  storage::back_up("sqlite:" + o.file().string(), o.file("copy"));
  const bool at_work = GENERATE(true, false);
  fs::resize_file(log, GENERATE(0, 32, 40'000));
  if (at_work) o.post_until_it_ends();
  o.check_ended();
  CHECK(o.ann.acked() == 20);
  const std::string said = "was cut while the database was open, and commits that were acknowledged are lost";
  check_said(o.h.server, said);
  for (int n = 0; n < 2; ++n) {
    o.h.server.begin_start(); // as a service manager does
    o.check_ended();
  }
  const auto database = bytes_of(o.file()), rest = bytes_of(log);
  const auto another =
      run({MARU_BINARY, "backup", o.file("another").string(), "--set", "server.data=" + o.folder().string()});
  CHECK(another.status == 1);
  CHECK(another.err.find(said) != std::string::npos);
  CHECK((bytes_of(o.file()) == database && bytes_of(log) == rest));
  SECTION("a backup is restored") {
    const auto none =
        run({MARU_BINARY, "restore", o.file("none").string(), "--set", "server.data=" + o.folder().string()});
    CHECK(none.status == 1);
    o.h.server.begin_start();
    o.check_ended();
    const auto put =
        run({MARU_BINARY, "restore", o.file("copy").string(), "--set", "server.data=" + o.folder().string()});
    CAPTURE(put.err);
    REQUIRE(put.status == 0);
    std::size_t kept = 0;
    for (const auto& f : fs::directory_iterator(o.folder())) {
      if (f.path().filename().string().find(".before-restore-") == std::string::npos) continue;
      const bool is_log = f.path().string().ends_with("-wal");
      CHECK(bytes_of(f.path()) == (is_log ? rest : database));
      ++kept;
    }
    CHECK(kept == 2);
    o.check_goes_on();
  }
  SECTION("it goes on with what is left") {
    fs::remove(o.file("maru.db.lock"));
    o.h.server.start();
  }
}

TEST_CASE("a log that another program moves into the database and cuts is none that was cut") {
  open_house o;
  for (const auto* how : {"PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)"}) {
    CAPTURE(how);
    storage::sqlite::connection(o.file(), storage::sqlite::connection::mode::write).script(how);
    o.ann.post_many(5);
  }
  CHECK_FALSE(o.h.server.wait_log("was cut", std::chrono::seconds{2}));
  o.ann.post_many(5);
  o.ann.check_all();
}

TEST_CASE("a database replaced under the server is left as it is, and what was open is saved beside it") {
  open_house o;
  storage::back_up("sqlite:" + o.file().string(), o.file("other"));
  o.ann.post_many(5);
  fs::rename(o.file("other"), o.file());
  o.post_until_it_ends();
  o.check_ended();
  check_said(o.h.server, "was replaced while it was open");
  o.h.server.start(); // what was put there
  CHECK(all_events(o.h.address(), o.ann.who(), o.ann.room()).size() == 20);
  CHECK(o.h.server.terminate() == 0);
  fs::path rescued;
  for (const auto& f : fs::directory_iterator(o.folder()))
    if (f.path().filename().string().starts_with("maru.db.rescued-")) rescued = f.path();
  const auto put =
      run({MARU_BINARY, "restore", rescued.string(), "--set", "server.data=" + o.folder().string()});
  CAPTURE(put.err);
  REQUIRE(put.status == 0);
  o.check_goes_on();
}

TEST_CASE(
    "a database moved away under the server is whole where it is, and no start begins anew without it") {
  open_house o;
  fs::path from, to;
  SECTION("the file") {
    from = o.file();
    to = o.file("elsewhere.db");
  }
  SECTION("the folder") {
    from = o.folder();
    to = o.folder().string() + ".old";
  }
  fs::rename(from, to);
  o.post_until_it_ends();
  o.check_ended();
  check_said(o.h.server, "was moved to " + to.string());
  o.h.server.begin_start(); // as a service manager does
  o.check_ended();
  check_said(o.h.server, "gone or empty, though there was one");
  fs::remove_all(from);
  fs::rename(to, from);
  o.check_goes_on();
}

TEST_CASE("a removed database that cannot be saved for want of room is kept alive until there is some") {
  small_disk disk;
  if (!disk.mounted()) return;
  server_options options;
  options.data = disk.data();
  open_house o(options);
  fs::remove(o.file());
  disk.fill();
  REQUIRE(o.h.server.wait_log("cannot be saved yet; do not end this process"));
  CHECK(o.h.get(o.ann.who(), "/api/v1/rooms/" + o.ann.room() + "/events?after=0").status == 200);
  CHECK(json::parse(http_request(o.h.address(), "GET", "/readyz").body)["status"] == "degraded");
  disk.make_room();
  o.check_ended();
  check_said(o.h.server, "All of it has been written there anew");
  o.check_goes_on();
}

} // namespace maru::tests
