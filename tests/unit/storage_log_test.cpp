// How commits reach the log: in few writes, and never by halves when one of them fails.

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include <sys/syscall.h>
#include <unistd.h>

#include "config/limits.hpp"
#include "storage/sqlite_file.hpp"
#include "storage/sqlite_statement.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

// What a test does to the disk: only the log of a test that holds a `log_watch` is counted, or fails.
struct {
  std::atomic<bool> on = false;
  std::atomic<int> writes = 0, syncs = 0;
  std::atomic<int> failing_write = 0, failing_sync = 0; // the n-th from now on; 0: none
  std::atomic<int> error = 0;
  std::atomic<bool> by_halves = false; // half of what fails gets there
} disk;

bool is_log(int fd) {
  std::string name(4096, '\0');
  const auto size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name.data(), name.size());
  return size > 4 && name.compare(static_cast<std::size_t>(size) - 4, 4, "-wal") == 0;
}

bool fails(int fd, std::atomic<int>& count, const std::atomic<int>& failing) {
  if (!disk.on || !is_log(fd)) return false;
  if (++count != failing) return false;
  errno = disk.error;
  return true;
}

} // namespace

// In the place of the C library's, for SQLite as well.
extern "C" ssize_t pwrite64(int fd, const void* from, std::size_t size, off64_t at) {
  if (!fails(fd, disk.writes, disk.failing_write)) return ::syscall(SYS_pwrite64, fd, from, size, at);
  if (disk.by_halves) ::syscall(SYS_pwrite64, fd, from, size / 2, at);
  errno = disk.error;
  return -1;
}

extern "C" ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) {
  return pwrite64(fd, from, size, at);
}

extern "C" int fdatasync(int fd) {
  if (fails(fd, disk.syncs, disk.failing_sync)) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace {

class log_watch {
public:
  log_watch() {
    again();
    disk.on = true;
  }
  log_watch(const log_watch&) = delete;
  log_watch& operator=(const log_watch&) = delete;
  ~log_watch() { disk.on = disk.by_halves = false; }

  void again() {
    disk.writes = disk.syncs = 0;
    disk.failing_write = disk.failing_sync = 0;
  }
  void fail_write(int n, int error) {
    again();
    disk.error = error;
    disk.failing_write = n;
  }
  void fail_sync(int n) {
    again();
    disk.error = EIO;
    disk.failing_sync = n;
  }
};

const auto room = id_of('r', 1);

std::vector<part> post(std::uint64_t seq, std::size_t bytes = 300) {
  auto e = event_of(room, seq, id_of('e', seq));
  e.data.assign(bytes, 'x');
  return {record_command{command_of(e, id_of('c', seq))}, append_event{e}};
}

void check_head(bench& b, std::uint64_t head) {
  CHECK(b.look([&](reader& r) {
           CHECK(r.room(room).value().head == head);
           const auto events = r.events_after(room, 0, head + 10, 1'000'000'000);
           REQUIRE(events.size() == head);
           for (const auto& e : events)
             CHECK(e.id == id_of('e', e.seq));
         }).empty());
}

} // namespace

TEST_CASE("a commit of many pages goes to the log in one write and one sync") {
  bench b;
  b.must({create_room{room_of(room)}});
  b.must(post(1));
  log_watch log;
  b.must(post(2));
  REQUIRE(disk.writes > 0); // SQLite writes by what is counted here
  CHECK(disk.writes == 1);
  CHECK(disk.syncs == 1);
  log.again();
  b.must(post(3, 10 * limits::database_write_bytes));
  CHECK(disk.writes >= 10); // a bound of what waits
  CHECK(disk.writes <= 12);
  CHECK(disk.syncs == 1);
  check_head(b, 3);
}

TEST_CASE("whichever write to the log fails, the commit fails whole, and with room again the next is taken") {
  bench b;
  b.must({create_room{room_of(room)}});
  b.must(post(1));
  log_watch log;
  disk.by_halves = GENERATE(false, true);
  int failed = 0;
  for (std::uint64_t seq = 2; failed < 100; ++seq) {
    log.fail_write(++failed, ENOSPC);
    const auto told = b.commit(post(seq, 3 * limits::database_write_bytes));
    if (told) break; // it has no more
    CHECK(told.why == failure::full);
    log.again();
    check_head(b, seq - 1);
    b.must(post(seq));
    check_head(b, seq);
  }
  log.again();
  CHECK(failed > 3);
  CHECK(failed < 10);
  CHECK(b.fatal.empty());
  const auto head = static_cast<std::uint64_t>(failed) + 1;
  check_head(b, head);
  b.reopen();
  check_head(b, head);
}

TEST_CASE("a log that cannot be synced ends the store, and nothing of that commit is shown") {
  bench b;
  b.must({create_room{room_of(room)}});
  b.must(post(1));
  log_watch log;
  log.fail_sync(1);
  CHECK(b.commit(post(2)).why == failure::fatal);
  CHECK(b.fatal.size() == 1);
  log.again();
  CHECK(b.commit(post(2)).why == failure::fatal);
  check_head(b, 1);
}

TEST_CASE("what the system says of a failed write decides: no room and no right to write pass, the rest is "
          "the end") {
  bench b;
  b.must({create_room{room_of(room)}});
  log_watch log;
  for (const auto& [error, meaning] :
       {std::pair{EDQUOT, failure::full}, std::pair{EROFS, failure::unavailable}}) {
    log.fail_write(1, error);
    const auto told = b.commit(post(1));
    CHECK(told.why == meaning);
    CHECK(told.detail.find(std::strerror(error)) != std::string::npos);
  }
  log.again();
  b.must(post(1));
  CHECK(b.fatal.empty());
  SECTION("a write") { log.fail_write(1, EIO); }
  SECTION("a sync, also for want of room") {
    log.fail_sync(1);
    disk.error = ENOSPC;
  }
  CHECK(b.commit(post(2)).why == failure::fatal);
  CHECK(b.fatal.size() == 1);
}

TEST_CASE("a transaction bigger than the cache is whole, also when pages of it went to the log before") {
  const temp_folder folder;
  const sqlite::file_lock lock(folder.file());
  sqlite::connection db(lock.database(), sqlite::connection::mode::write);
  db.script("CREATE TABLE t(n INTEGER PRIMARY KEY, x BLOB)");
  db.use_log();
  sqlite::connection other(lock.database(), sqlite::connection::mode::read);
  db.script("PRAGMA cache_size = 10; PRAGMA cache_spill = 10");
  const auto sums = [](sqlite::connection& of) {
    auto q = of.run("SELECT count(*), coalesce(sum(length(x)), 0) FROM t");
    REQUIRE(q.next());
    return std::pair{q.integer(0), q.integer(1)};
  };
  const auto fill = [&](int pages) {
    db.exec("BEGIN IMMEDIATE");
    for (int n = 1; n <= pages; ++n)
      db.exec("INSERT INTO t VALUES(?, zeroblob(3000))", std::int64_t{n});
    // The first pages again, after they went out.
    db.exec("UPDATE t SET x = zeroblob(3500) WHERE n <= 20");
  };
  log_watch log;
  fill(200);
  CHECK(disk.writes > 0);
  CHECK(sums(other) == std::pair<std::int64_t, std::int64_t>{0, 0});
  CHECK(sums(db) == std::pair<std::int64_t, std::int64_t>{200, 200 * 3000 + 20 * 500});
  db.roll_back();
  CHECK(sums(db).first == 0);
  for (int failing = 1;; ++failing) {
    fill(200);
    log.fail_write(failing, ENOSPC);
    try {
      db.commit();
      break;
    } catch (const sqlite::error& e) {
      CHECK(e.meaning() == failure::full);
    }
    log.again();
    db.roll_back();
    CHECK(sums(db).first == 0);
    CHECK(sums(other).first == 0);
    REQUIRE(failing < 1000);
  }
  CHECK(sums(other) == std::pair<std::int64_t, std::int64_t>{200, 200 * 3000 + 20 * 500});
  sqlite::connection fresh(lock.database(), sqlite::connection::mode::read);
  auto q = fresh.run("PRAGMA integrity_check");
  REQUIRE(q.next());
  CHECK(q.bytes(0) == "ok");
}

TEST_CASE("a log that begins anew, after it was moved into the file, is read as before by others") {
  const temp_folder folder;
  const sqlite::file_lock lock(folder.file());
  sqlite::connection db(lock.database(), sqlite::connection::mode::write);
  db.script("CREATE TABLE t(n INTEGER PRIMARY KEY)");
  db.use_log();
  sqlite::connection other(lock.database(), sqlite::connection::mode::read);
  for (int n = 1; n <= 50; ++n) {
    db.exec("BEGIN IMMEDIATE");
    db.exec("INSERT INTO t VALUES(?)", std::int64_t{n});
    db.commit();
    auto q = other.run("SELECT max(n), count(*) FROM t");
    REQUIRE(q.next());
    CHECK(q.integer(0) == n);
    CHECK(q.integer(1) == n);
    if (n % 10 == 0) db.checkpoint(false);
  }
  CHECK(db.log_pages() < 20);
}
