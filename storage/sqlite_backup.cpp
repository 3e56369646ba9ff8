#include "storage/sqlite_backup.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <unistd.h>

#include "storage/folder.hpp"
#include "storage/sqlite_file.hpp"
#include "storage/sqlite_schema.hpp"
#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {
namespace {

namespace fs = std::filesystem;

constexpr ::mode_t owner_only = 0600; // it holds password hashes and signing keys

[[noreturn]] void refuse(const std::string& what, const fs::path& where, int error) {
  throw open_error{what + " " + where.string() + ": " + std::strerror(error)};
}

// A file that is gone again unless it was kept: half a copy passes for none.
class draft {
public:
  explicit draft(const fs::path& for_whom)
      : path_(for_whom.string() + ".partial-" + std::to_string(::getpid())) {
    ::unlink(path_.c_str());
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, owner_only);
    if (fd < 0) refuse("cannot make", path_, errno);
    ::close(fd);
  }
  draft(const draft&) = delete;
  draft& operator=(const draft&) = delete;
  ~draft() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  [[nodiscard]] const fs::path& path() const { return path_; }
  void keep_as(const fs::path& name) {
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int failed = errno;
    if (fd >= 0) ::close(fd);
    if (!synced) refuse("cannot write", path_, failed);
    if (::rename(path_.c_str(), name.c_str()) != 0) refuse("cannot make", name, errno);
    path_.clear();
    sync_folder(name.parent_path());
  }

private:
  fs::path path_;
};

template <class Work>
auto explained(const std::string& what, const fs::path& where, Work work) {
  try {
    return work();
  } catch (const error& e) {
    throw open_error{what + " " + where.string() + ": " + e.detail};
  } catch (const fs::filesystem_error& e) {
    throw open_error{what + " " + where.string() + ": " + e.code().message()};
  }
}

std::uint64_t count_of(connection& db, std::string_view sql) {
  auto q = db.run(sql);
  return q.next() ? q.count(0) : 0;
}

// Reads all of it: nobody wants to learn of a broken copy on the day it is needed.
backup_facts looked_over(const fs::path& file) {
  connection db(file, connection::mode::read);
  check_schema(db);
  {
    auto q = db.run("PRAGMA quick_check(1)");
    if (!q.next() || q.bytes(0) != "ok") throw open_error{file.string() + " is damaged; use another copy"};
  }
  return {fs::file_size(file), count_of(db, "SELECT count(*) FROM accounts"),
          count_of(db, "SELECT count(*) FROM rooms"), count_of(db, "SELECT count(*) FROM events")};
}

std::string stamp(std::int64_t now_ms) {
  const std::time_t seconds = now_ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> out{};
  return {out.data(), std::strftime(out.data(), out.size(), "%Y%m%dT%H%M%SZ", &utc)};
}

fs::path log_of(const fs::path& database) { return database.string() + "-wal"; }

// What a killed server left in the log goes into the file. A damaged one stays in two parts.
void close_up(const fs::path& database) {
  try {
    connection(database, connection::mode::write).checkpoint(true);
  } catch (const error&) { // NOLINT(bugprone-empty-catch): it is being replaced, perhaps for that
  }
}

// Under a second name, so that there is a database at any moment. The log would be taken for that of the new
// one.
std::optional<fs::path> set_aside(const fs::path& database, std::int64_t now_ms) {
  if (fs::file_size(database) == 0) return std::nullopt; // nothing was ever in it
  close_up(database);
  fs::path kept = database.string() + ".before-restore-" + stamp(now_ms);
  for (int n = 2; fs::exists(kept); ++n)
    kept = database.string() + ".before-restore-" + stamp(now_ms) + "-" + std::to_string(n);
  fs::create_hard_link(database, kept);
  sync_folder(database.parent_path());
  if (fs::exists(log_of(database))) fs::rename(log_of(database), log_of(kept));
  fs::remove(database.string() + "-shm");
  return kept;
}

} // namespace

backup_facts back_up(const fs::path& database, const fs::path& to) {
  if (!fs::exists(database)) throw open_error{"there is no database at " + database.string()};
  const auto target = fs::absolute(to);
  if (fs::exists(target)) throw open_error{target.string() + " is there already; name a new file"};
  draft copy(target);
  return explained("cannot back up to", target, [&] {
    {
      connection db(database, connection::mode::write); // to one that may only read, SQLite refuses this
      check_schema(db);
      db.exec("VACUUM INTO ?", copy.path().string());
    }
    auto facts = looked_over(copy.path());
    copy.keep_as(target);
    return facts;
  });
}

restored restore(const fs::path& database, const fs::path& from, std::int64_t now_ms) {
  return explained("cannot restore from", from, [&]() -> restored {
    if (fs::exists(log_of(from)))
      throw open_error{from.string() + " is a database in use, not a copy; make one with `maru backup`"};
    const file_lock lock(database);
    draft copy(lock.database());
    fs::copy_file(from, copy.path(), fs::copy_options::overwrite_existing);
    restored out;
    out.facts = looked_over(copy.path());
    out.kept = set_aside(lock.database(), now_ms);
    copy.keep_as(lock.database());
    return out;
  });
}

} // namespace maru::storage::sqlite
