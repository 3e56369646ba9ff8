#include "storage/sqlite_statement.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sqlite3.h>

#include "config/limits.hpp"
#include "storage/sqlite_log.hpp"
#include "storage/sqlite_log_check.hpp"

namespace maru::storage::sqlite {

namespace {

// SQLite keeps the number of the last call that failed; it belongs to these failures only.
bool of_the_system(int code) { return (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN; }

[[noreturn]] void fail(sqlite3* db) {
  const int code = sqlite3_extended_errcode(db);
  throw error{code, of_the_system(code) ? sqlite3_system_errno(db) : 0, sqlite3_errmsg(db)};
}

// Whatever the system says of it: what was to be synced may be gone, and the next sync would not tell.
bool failed_sync(const error& e) { return e.code == SQLITE_IOERR_FSYNC || e.code == SQLITE_IOERR_DIR_FSYNC; }

// A full disk also shows as an I/O error: a quota, or the shared-memory file that cannot grow.
bool no_room(const error& e) {
  return (e.code & 0xff) == SQLITE_FULL || e.os_errno == ENOSPC || e.os_errno == EDQUOT ||
         e.code == SQLITE_IOERR_SHMSIZE;
}

// Nothing was written, and what is there stands: a file system that the kernel made read-only, or its owner.
bool read_only(const error& e) { return (e.code & 0xff) == SQLITE_READONLY || e.os_errno == EROFS; }

failure meaning_of_io(const error& e) {
  if (e.code == SQLITE_IOERR_NOMEM) return failure::unavailable;
  if (failed_sync(e)) return failure::fatal;
  if (no_room(e)) return failure::full;
  return read_only(e) ? failure::unavailable : failure::fatal;
}

std::string advice(const error& e) {
  if (e.corrupt())
    return "; the database is damaged: look at the disk, then restore a backup with `maru restore`, which "
           "keeps "
           "the damaged file";
  if (failed_sync(e)) return "; a sync to the disk failed: look at the disk (dmesg) before you start again";
  if (no_room(e)) return "; make room on the disk";
  if (read_only(e)) return "; make the file and its file system writable";
  switch (e.code & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return "; another program holds the database: end it (fuser FILE names it)";
  case SQLITE_IOERR:
    return "; look at the disk (dmesg) before you start again";
  case SQLITE_CANTOPEN:
    return "; see that the folder is there and that its owner runs this";
  default:
    return "";
  }
}

} // namespace

error::error(int code, int os_errno, const std::string& detail)
    : read_error{detail}, code(code), os_errno(os_errno) {
  if (os_errno != 0) this->detail += std::string{" ("} + std::strerror(os_errno) + ")";
  this->detail += advice(*this);
}

bool error::corrupt() const { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

failure error::meaning() const {
  if (corrupt()) return failure::fatal;
  switch (code & 0xff) {
  case SQLITE_CONSTRAINT:
  case SQLITE_TOOBIG:
    return failure::conflict;
  case SQLITE_FULL:
    return failure::full;
  case SQLITE_IOERR:
    return meaning_of_io(*this);
  case SQLITE_READONLY: // the file was moved away under us: commits would go nowhere
    return code == SQLITE_READONLY_DBMOVED ? failure::fatal : failure::unavailable;
  default:
    return failure::unavailable;
  }
}

query::query(sqlite3* db, sqlite3_stmt* statement, bool copies)
    : db_(db), statement_(statement), copies_(copies) {}

query::query(query&& other) noexcept
    : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)), copies_(other.copies_) {}

query::~query() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

void query::check(int code) const {
  if (code != SQLITE_OK) fail(db_);
}

bool query::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(db_);
  return false;
}

void query::bind(int i, std::int64_t value) { check(sqlite3_bind_int64(statement_, i, value)); }

void query::bind_null(int i) { check(sqlite3_bind_null(statement_, i)); }

void query::bind(int i, std::string_view text) {
  // A null pointer would bind NULL.
  const char* from = text.data() == nullptr ? "" : text.data();
  check(sqlite3_bind_text64(statement_, i, from, text.size(), copies_ ? SQLITE_TRANSIENT : SQLITE_STATIC,
                            SQLITE_UTF8));
}

void query::bind(int i, blob value) {
  const char* from = value.bytes.data() == nullptr ? "" : value.bytes.data();
  check(sqlite3_bind_blob64(statement_, i, from, value.bytes.size(),
                            copies_ ? SQLITE_TRANSIENT : SQLITE_STATIC));
}

void query::bind(int i, const uuid& value) {
  bind(i, blob{{reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()}});
}

bool query::null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string query::bytes(int column) const {
  const auto* from = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  if (from != nullptr) return {from, size};
  if (size != 0) throw error{SQLITE_NOMEM, 0, "out of memory"};
  return {};
}

uuid query::id(int column) const {
  const auto* from = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  uuid out;
  if (from == nullptr || sqlite3_column_bytes(statement_, column) != static_cast<int>(out.bytes.size()))
    throw error{SQLITE_CORRUPT, 0, "an id in the database does not have 16 bytes"};
  std::copy(from, from + out.bytes.size(), out.bytes.begin());
  return out;
}

std::optional<std::int64_t> query::maybe_integer(int column) const {
  if (null(column)) return std::nullopt;
  return integer(column);
}

std::optional<uuid> query::maybe_id(int column) const {
  if (null(column)) return std::nullopt;
  return id(column);
}

connection::connection(const std::filesystem::path& file, mode how) {
  const int code = sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                   how == mode::write ? gathering_file_system() : nullptr);
  try {
    if (db_ == nullptr) throw error{SQLITE_NOMEM, 0, "out of memory"};
    sqlite3_extended_result_codes(db_, 1);
    if (code != SQLITE_OK) fail(db_);
    configure(how);
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

connection::~connection() {
  for (const auto& [sql, statement] : statements_)
    sqlite3_finalize(statement);
  sqlite3_close(db_);
}

void connection::configure(mode how) {
  sqlite3_busy_timeout(db_, static_cast<int>(limits::database_busy_ms));
  script("PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;"
         "PRAGMA cache_size = -" +
         std::to_string(limits::database_cache_kib) + ";");
  script(how == mode::read ? "PRAGMA query_only = ON" : "PRAGMA synchronous = FULL");
}

void connection::use_log() {
  {
    auto q = run("PRAGMA journal_mode = WAL");
    if (!q.next() || q.bytes(0) != "wal")
      throw error{SQLITE_CANTOPEN, 0, "this file system cannot hold a write-ahead log"};
  }
  run("SELECT count(*) FROM sqlite_master").next(); // opens it: log_bytes() is asked before anything is read
  script("PRAGMA journal_size_limit = " + std::to_string(limits::database_log_kept_bytes));
  // Takes the place of the automatic checkpoint, whose failures nobody would hear of.
  sqlite3_wal_hook(
      db_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<connection*>(self)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

void connection::write_log_anew() {
  if (const int failed = write_again(db_); failed != SQLITE_OK)
    throw error{failed, sqlite3_system_errno(db_), "the log cannot be written"};
}

sqlite3_stmt* connection::prepared(sql what) {
  const auto text = what.text();
  if (const auto found = statements_.find(text); found != statements_.end()) {
    if (sqlite3_stmt_busy(found->second) != 0)
      throw error{SQLITE_MISUSE, 0, "statement used within itself: " + std::string(text)};
    return found->second;
  }
  sqlite3_stmt* made = nullptr;
  if (sqlite3_prepare_v3(db_, text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT, &made,
                         nullptr) != SQLITE_OK)
    fail(db_);
  statements_.emplace(text, made);
  return made;
}

void connection::script(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(db_);
}

std::filesystem::path connection::file() const { return sqlite3_db_filename(db_, "main"); }

bool connection::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

std::int64_t connection::changes_so_far() const { return sqlite3_total_changes64(db_); }

int connection::last_changes() const { return sqlite3_changes(db_); }

void connection::commit() {
  const gathered_writes gathered(db_);
  try {
    exec("COMMIT");
  } catch (const error& e) {
    if (!of_the_system(e.code)) throw;
    throw error{e.code, gathered.system_error(), sqlite3_errmsg(db_)};
  }
  if (gathered.wait()) throw error{SQLITE_CORRUPT, 0, "SQLite wrote to its log after the sync"};
}

void connection::roll_back() {
  if (in_transaction()) exec("ROLLBACK");
}

void connection::checkpoint(bool insist) {
  const int how = insist ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  const int code = sqlite3_wal_checkpoint_v2(db_, nullptr, how, nullptr, nullptr);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) fail(db_);
}

bool connection::empty_log() {
  auto q = run("PRAGMA wal_checkpoint(TRUNCATE)");
  return q.next() && q.integer(0) == 0;
}

void connection::leave_log() { sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

// As it stands in what those who have it open share: https://www.sqlite.org/walformat.html
std::uint64_t connection::log_bytes() const {
  constexpr int region_bytes = 32 * 1024;
  constexpr std::size_t half_words_to_page_size = 7, words_to_frames = 4;
  sqlite3_file* file = nullptr;
  void volatile* shared = nullptr;
  sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  if (file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2 ||
      file->pMethods->xShmMap(file, 0, region_bytes, 0, &shared) != SQLITE_OK || shared == nullptr)
    return 0;
  const std::uint64_t frames = static_cast<const volatile std::uint32_t*>(shared)[words_to_frames];
  const std::uint64_t page = static_cast<const volatile std::uint16_t*>(shared)[half_words_to_page_size];
  return log_size(frames, page == 1 ? 65'536 : page);
}

void connection::copy_to(const std::filesystem::path& file) { exec("VACUUM INTO ?", file.string()); }

} // namespace maru::storage::sqlite
