#include "storage/sqlite_backup.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
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

[[noreturn]] void refuse(const std::string& what, const fs::path& where, int error) {
  throw open_error{what + " " + where.string() + ": " + std::strerror(error)};
}

// A file that is gone again unless it was kept: half a copy passes for none.
class draft {
public:
  // Readable by its owner alone: it holds password hashes and signing keys.
  explicit draft(const fs::path& for_whom) {
    auto name = for_whom.string() + ".partial-XXXXXX";
    const int fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) refuse("cannot make", name, errno);
    ::close(fd);
    path_ = name;
  }
  draft(const draft&) = delete;
  draft& operator=(const draft&) = delete;
  ~draft() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  [[nodiscard]] const fs::path& path() const { return path_; }
  void sync() const {
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int failed = errno;
    if (fd >= 0) ::close(fd);
    if (!synced) refuse("cannot write", path_, failed);
  }
  // Never over a file that came there meanwhile, where the file system can tell.
  void keep_as(const fs::path& name) {
    int failed =
        ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
    if (failed == EINVAL || failed == ENOSYS) failed = ::rename(path_.c_str(), name.c_str()) == 0 ? 0 : errno;
    if (failed != 0) refuse("cannot make", name, failed);
    path_.clear();
    sync_folder(name.parent_path());
  }
  // At any moment there is the one or the other under `name`.
  void replace(const fs::path& name, const fs::path& kept) {
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, name.c_str(), RENAME_EXCHANGE) == 0) {
      fs::rename(path_, kept);
    } else {
      fs::create_hard_link(name, kept);
      fs::rename(path_, name);
    }
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

// Reads all of it: nobody wants to learn of a broken copy on the day it is needed. `shown` is its name
// outside.
backup_facts looked_over(const fs::path& file, const fs::path& shown) {
  connection db(file, connection::mode::read);
  const auto whole = [&] {
    if (!is_ours(db) || count_of(db, "SELECT count(*) FROM leases") != shard_count) return false;
    auto q = db.run("PRAGMA quick_check(1)");
    return q.next() && q.bytes(0) == "ok";
  };
  if (!whole())
    throw open_error{shown.string() + " is no database of maru, or a damaged one; use another copy"};
  check_version(db);
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

fs::path kept_name(const fs::path& database, std::int64_t now_ms) {
  const auto first = database.string() + ".before-restore-" + stamp(now_ms);
  fs::path out = first;
  for (int n = 2; fs::exists(out); ++n)
    out = first + "-" + std::to_string(n);
  return out;
}

// What a killed server left in the log goes into the file, so that it is whole without: the log would be
// taken for that of the new one. False: what is there is damaged, and cannot be made whole.
bool close_up(const fs::path& database) {
  try {
    connection db(database, connection::mode::write);
    auto q = db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    if (q.next() && q.integer(0) == 0) return true;
  } catch (const error& e) {
    if (e.corrupt()) return false;
    throw;
  }
  throw open_error{"another program reads " + database.string() +
                   "; nothing was changed, end that one first"};
}

void replace(draft& copy, const fs::path& database, const fs::path& kept) {
  copy.sync();
  if (!close_up(database) && fs::exists(log_of(database))) fs::rename(log_of(database), log_of(kept));
  fs::remove(log_of(database));
  fs::remove(database.string() + "-shm");
  copy.replace(database, kept);
}

} // namespace

backup_facts back_up(const fs::path& database, const fs::path& to) {
  return explained("cannot back up to", to, [&] {
    if (!fs::exists(database)) throw open_error{"there is no database at " + database.string()};
    const auto target = fs::absolute(to);
    if (fs::exists(target)) throw open_error{target.string() + " is there already; name a new file"};
    draft copy(target);
    {
      connection db(database, connection::mode::write); // to one that may only read, SQLite refuses this
      db.exec("VACUUM INTO ?", copy.path().string());
    }
    auto facts = looked_over(copy.path(), database);
    copy.sync();
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
    out.facts = looked_over(copy.path(), from);
    if (fs::file_size(lock.database()) == 0) { // nothing was ever in it
      copy.sync();
      fs::rename(copy.path(), lock.database());
      sync_folder(lock.database().parent_path());
    } else {
      out.kept = kept_name(lock.database(), now_ms);
      replace(copy, lock.database(), *out.kept);
    }
    return out;
  });
}

} // namespace maru::storage::sqlite
