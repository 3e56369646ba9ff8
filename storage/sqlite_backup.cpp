#include "storage/sqlite_backup.hpp"

#include "storage/draft.hpp"
#include "storage/folder.hpp"
#include "storage/sqlite_file.hpp"
#include "storage/sqlite_log_check.hpp"
#include "storage/sqlite_schema.hpp"
#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {
namespace {

namespace fs = std::filesystem;

template <class Work>
auto explained(const std::string& what, const fs::path& where, Work work) {
  try {
    return work();
  } catch (const error& e) {
    throw open_error{what + " " + where.string() + ": " + e.detail};
  } catch (const fs::filesystem_error& e) {
    refuse(what, where, e.code().value());
  }
}

std::uint64_t count_of(connection& db, sql what) {
  auto q = db.run(what);
  return q.next() ? q.count(0) : 0;
}

// Reads all of it: nobody wants to learn of a broken copy on the day it is needed. `shown` is its name
// outside.
backup_facts looked_over(const fs::path& file, const fs::path& shown) {
  const auto refuse_copy = [&] {
    throw open_error{shown.string() + " is no database of maru, or a damaged one; use another copy"};
  };
  try {
    connection db(file, connection::mode::read);
    if (!is_ours(db) || count_of(db, "SELECT count(*) FROM leases") != shard_count) refuse_copy();
    if (auto q = db.run("PRAGMA quick_check(1)"); !q.next() || q.bytes(0) != "ok") refuse_copy();
    check_version(db);
    return {fs::file_size(file), count_of(db, "SELECT count(*) FROM accounts"),
            count_of(db, "SELECT count(*) FROM rooms"), count_of(db, "SELECT count(*) FROM events")};
  } catch (const error& e) {
    if (e.corrupt()) refuse_copy();
    throw;
  }
}

// What a killed server left in the log goes into the file, so that it is whole without: the log would be
// taken for that of the new one. False: what is there is damaged, and cannot be made whole.
bool close_up(const fs::path& database) {
  try {
    if (connection(database, connection::mode::write).empty_log()) return true;
  } catch (const error& e) {
    if (e.corrupt()) return false;
    throw;
  }
  throw open_error{"another program reads " + database.string() +
                   "; nothing was changed, end that one first"};
}

void replace(draft& copy, const file_lock& lock, const fs::path& kept) {
  const auto& database = lock.database();
  copy.sync();
  const bool empty = fs::file_size(database) == 0; // nothing was ever in it, or it was cut
  const bool whole =
      !empty && !lock.was_condemned() && objection_to_log(database).empty() && close_up(database);
  if (!whole && fs::exists(log_of(database))) fs::rename(log_of(database), log_of(kept));
  fs::remove(log_of(database));
  fs::remove(database.string() + "-shm");
  if (empty)
    copy.replace_empty(database);
  else
    copy.replace(database, kept);
}

// What no server starts on is not to be taken for a backup. While one runs, it looks after that.
void refuse_unfit(const fs::path& database) {
  try {
    const file_lock lock(database);
  } catch (const open_error& e) {
    if (e.held_by == 0) throw;
  }
}

} // namespace

backup_facts back_up(const fs::path& database, const fs::path& to) {
  return explained("cannot back up to", to, [&] {
    if (!fs::exists(database)) throw open_error{"there is no database at " + database.string()};
    const auto target = fs::absolute(to);
    if (fs::exists(target)) throw open_error{target.string() + " is there already; name a new file"};
    refuse_unfit(database);
    draft copy(target);
    connection from(database, connection::mode::write);
    from.leave_log();
    from.copy_to(copy.path());
    auto facts = looked_over(copy.path(), database);
    copy.keep_as(target);
    return facts;
  });
}

restored restore(const fs::path& database, const fs::path& from, std::int64_t now_ms) {
  return explained("cannot restore from", from, [&]() -> restored {
    if (fs::exists(from) && !fs::is_regular_file(from))
      throw open_error{from.string() + " is no file; name a copy that `maru backup` made"};
    if (fs::exists(log_of(from)))
      throw open_error{from.string() + " is a database in use, not a copy; make one with `maru backup`"};
    const file_lock lock(database, file_lock::use::replace);
    draft copy(lock.database());
    copy.copy_from(from);
    restored out;
    out.facts = looked_over(copy.path(), from);
    const auto kept = name_beside(lock.database(), ".before-restore-", now_ms);
    replace(copy, lock, kept);
    lock.remember();
    if (fs::exists(kept)) out.kept = kept;
    return out;
  });
}

} // namespace maru::storage::sqlite
