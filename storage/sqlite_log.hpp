#pragma once

// SQLite writes each page of its write-ahead log with two calls. While a commit runs they are gathered here
// and go out many pages at a time. Invariants:
// - Bytes wait only within one commit: each is in the file before the log is synced, read, measured or cut,
//   and so before the commit shows them to anybody.
// - A write that fails fails the call of SQLite that had it made, and with that the commit; what still
//   waits is then dropped, as SQLite forgets those pages itself.
// Needs `synchronous = FULL`: without it nothing syncs the log before the commit is seen; and a disk that
// leaves the bytes beside a write alone (powersafe overwrite, the default): for others SQLite writes on after
// the sync, and nothing is gathered.

#include <cstdint>

struct sqlite3;

namespace maru::storage::sqlite {

// The file system to open a connection with that is to gather: the usual one in all else.
// nullptr, which means the usual one, when it cannot be had.
const char* gathering_file_system();

// Each byte of the log once more to where it stands, and synced. SQLite's result code.
int write_again(sqlite3* db);

// As long as it lives, what `db` writes to its log is gathered. For one commit.
class gathered_writes {
public:
  explicit gathered_writes(sqlite3* db);
  gathered_writes(const gathered_writes&) = delete;
  gathered_writes& operator=(const gathered_writes&) = delete;
  ~gathered_writes();
  // Whether bytes are left after a commit, which nobody may be told of then.
  [[nodiscard]] bool wait() const;
  // What the system said when a call to the log failed, which SQLite does not pass on from a commit; 0:
  // nothing.
  [[nodiscard]] int system_error() const;

private:
  class log_file* log_;
};

} // namespace maru::storage::sqlite
