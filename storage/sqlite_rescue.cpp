#include "storage/sqlite_rescue.hpp"

#include <sqlite3.h>

#include "storage/draft.hpp"
#include "storage/folder.hpp"
#include "storage/sqlite_log_check.hpp"

namespace maru::storage::sqlite {

namespace {

namespace fs = std::filesystem;

std::string write_anew(connection& db, const fs::path& database, std::int64_t now_ms) {
  make_folder(database.parent_path());
  const bool replaced = fs::exists(database);
  const auto target = replaced ? name_beside(database, ".rescued-", now_ms) : database;
  draft copy(target);
  db.copy_to(copy.path());
  copy.keep_as(target);
  const auto name = "the database " + database.string();
  if (!replaced)
    return name + " was removed while it was open. All of it has been written there anew: start again";
  return name + " was replaced while it was open. What it held is in " + target.string() +
         ": put that back with `maru restore`, or start with what is there now";
}

// What lies at the log's name is of no use to the database, and would be taken for its log.
void put_aside(const fs::path& log, std::int64_t now_ms) {
  if (fs::exists(log)) fs::rename(log, name_beside(log, ".replaced-", now_ms));
}

} // namespace

std::optional<std::string> rescue(connection& db, const file_lock& lock, const name_watch& names,
                                  std::int64_t now_ms) {
  const auto& database = lock.database();
  const auto state = names.look();
  if (state == name_watch::state::there) return std::nullopt;
  if (state == name_watch::state::log_cut) {
    // What is left of the log must not be moved: it may stand before what has been moved already.
    db.leave_log();
    lock.condemn();
    return explain_cut(database);
  }
  // Into the file that is open, wherever it is; what is left at the log's name is empty then.
  if (!db.empty_log()) throw error{SQLITE_BUSY, 0, "the log of the database is being read"};
  switch (state) {
  case name_watch::state::removed:
    return write_anew(db, database, now_ms);
  case name_watch::state::moved:
    lock.leave_mark();
    return "the database " + database.string() + " was moved to " + names.now_at().string() +
           " while it was open. All of it is there: put it back, or name its new place, and start again";
  default:
    put_aside(log_of(database), now_ms);
    return "the log " + log_of(database).string() +
           " was removed or replaced while it was open. What it held is in the database: start again";
  }
}

} // namespace maru::storage::sqlite
