#pragma once

// The thin layer over the C interface: a connection with its prepared statements, and a run of one of them.
// Nothing here is thread-safe; a connection belongs to one thread at a time.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/uuid.hpp"
#include "storage/store.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace maru::storage::sqlite {

// Thrown by everything below. To those who use a reader it is a read_error.
struct error : read_error {
  // The detail gets the system's own word for it, and what an operator can do.
  error(int code, int os_errno, const std::string& detail);

  int code;     // extended result code
  int os_errno; // of the system call behind it, if any

  // What the failure means for the work in which it happened.
  [[nodiscard]] failure meaning() const;
  [[nodiscard]] bool corrupt() const;
};

// The text of a statement, which the compiler has to know: what is prepared is kept under it.
class sql {
public:
  template <std::size_t N>
  consteval sql(const char (&text)[N]) : text_(text, N - 1) {}
  [[nodiscard]] std::string_view text() const { return text_; }

private:
  std::string_view text_;
};

// Bytes that are not text.
struct blob {
  std::string_view bytes;
};

// One run of a prepared statement; gives it back at its end.
class query {
public:
  // `copies`: whether bound bytes must outlive the call that binds them.
  query(sqlite3* db, sqlite3_stmt* statement, bool copies);
  query(query&& other) noexcept;
  query(const query&) = delete;
  query& operator=(const query&) = delete;
  query& operator=(query&&) = delete;
  ~query();

  template <class... Values>
  void bind_all(const Values&... values) {
    int i = 0;
    (bind(++i, values), ...);
  }

  // Moves to the next row; false when there is none.
  bool next();

  [[nodiscard]] bool null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t count(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  [[nodiscard]] std::uint32_t small(int column) const { return static_cast<std::uint32_t>(integer(column)); }
  [[nodiscard]] std::string bytes(int column) const;
  [[nodiscard]] uuid id(int column) const;
  [[nodiscard]] std::optional<std::int64_t> maybe_integer(int column) const;
  [[nodiscard]] std::optional<uuid> maybe_id(int column) const;

private:
  void bind(int i, std::int64_t value);
  void bind(int i, std::uint64_t value) { bind(i, static_cast<std::int64_t>(value)); }
  void bind(int i, std::uint32_t value) { bind(i, static_cast<std::int64_t>(value)); }
  void bind(int i, std::string_view text);
  void bind(int i, const std::string& text) { bind(i, std::string_view(text)); }
  void bind(int i, const char* text) { bind(i, std::string_view(text)); }
  void bind(int i, blob value);
  void bind(int i, const uuid& value);
  void bind_null(int i);

  template <class Value>
  void bind(int i, const std::optional<Value>& value) {
    if (value)
      bind(i, *value);
    else
      bind_null(i);
  }

  void check(int code) const;

  sqlite3* db_;
  sqlite3_stmt* statement_;
  bool copies_;
};

class connection {
public:
  enum class mode : std::uint8_t { write, read };

  // Throws error. The file exists already, though it may be empty.
  connection(const std::filesystem::path& file, mode how);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection();

  template <class... Values>
  query run(sql what, const Values&... values) {
    query q(db_, prepared(what), true);
    q.bind_all(values...);
    return q;
  }

  // Runs to the end; returns how many rows it changed.
  template <class... Values>
  int exec(sql what, const Values&... values) {
    query q(db_, prepared(what), false);
    q.bind_all(values...);
    while (q.next()) {
    }
    return last_changes();
  }

  // Several statements, not kept.
  void script(const std::string& sql);

  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] std::int64_t changes_so_far() const;
  void commit();
  void roll_back(); // if in a transaction

  // Commits go to a write-ahead log from here on; the file remembers.
  void use_log();
  // Where a sync failed, the process before could still read what is not on the disk, and so can this one; no
  // later sync brings it there, and a power cut would take with it all that follows in the log. So the log is
  // written once more, in its place, before anybody is told of what stands in it.
  void write_log_anew();
  [[nodiscard]] std::filesystem::path file() const;
  // Pages in the write-ahead log after the last commit.
  [[nodiscard]] int log_pages() const { return log_pages_; }
  // Moves the log into the file as far as readers allow; `insist` waits for them.
  void checkpoint(bool insist);
  // Moves all of it and cuts the log; false when others read on.
  bool empty_log();
  // Leaves the log as it is, also at the end.
  void leave_log();
  // How long the log has to be for what is committed in it.
  [[nodiscard]] std::uint64_t log_bytes() const;
  // All that is committed, into an empty file; to a connection that may only read SQLite refuses it.
  void copy_to(const std::filesystem::path& file);

private:
  sqlite3_stmt* prepared(sql what);
  [[nodiscard]] int last_changes() const;
  void configure(mode how);

  sqlite3* db_ = nullptr;
  std::unordered_map<std::string_view, sqlite3_stmt*> statements_;
  int log_pages_ = 0;
};

} // namespace maru::storage::sqlite
