#pragma once

// The files of the database: who may have them open, one process at a time, held by a lock file beside them;
// and whether they are what they were.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace maru::storage::sqlite {

class connection;

class file_lock {
public:
  enum class use : std::uint8_t {
    open,    // refuses one that is gone or empty where there was one, and a log that must not be taken up
    replace, // whatever is there
  };

  // Makes the folder and the empty file if they are missing, readable by their owner alone.
  // Throws open_error.
  explicit file_lock(const std::filesystem::path& database, use what = use::open);
  file_lock(const file_lock&) = delete;
  file_lock& operator=(const file_lock&) = delete;
  ~file_lock();

  // Absolute, links resolved.
  [[nodiscard]] const std::filesystem::path& database() const { return database_; }

  // The lock file says from here on that there is a database, and that it may be used.
  void remember() const;
  // The same where the folder has been moved away: what starts there must not begin anew.
  void leave_mark() const;
  // The lock file says from here on that it may not: what was acknowledged is lost. Throws open_error.
  void condemn() const;
  [[nodiscard]] bool was_condemned() const { return was_condemned_; } // when it was locked

private:
  std::filesystem::path database_;
  int lock_ = -1;
  bool was_condemned_ = false;
};

// What there is to do about a log that was cut.
std::string explain_cut(const std::filesystem::path& database);

// Tells when the open database, or its log, is not what its name leads to any more: what is committed then
// would be gone with the process, or lie where nobody looks for it. Or that the log has become shorter than
// what is committed in it.
class name_watch {
public:
  // Both files are open already.
  name_watch(std::filesystem::path database, const connection& in);
  name_watch(const name_watch&) = delete;
  name_watch& operator=(const name_watch&) = delete;
  ~name_watch();

  enum class state : std::uint8_t {
    there,
    log_gone, // the log alone: removed, moved or replaced
    log_cut,  // what was committed last is not in it any more
    moved,    // the database has another name
    removed,  // the database has no name: it ends with the process
  };
  [[nodiscard]] state look() const;
  [[nodiscard]] std::filesystem::path now_at() const; // where a moved one is

private:
  struct identity {
    std::uint64_t device = 0, inode = 0;
    bool operator==(const identity&) const = default;
  };
  static std::optional<identity> of(const std::filesystem::path& file);
  [[nodiscard]] bool is_cut() const;

  std::filesystem::path database_, log_;
  const connection& in_;
  std::optional<identity> database_was_, log_was_;
  int fd_ = -1;
};

} // namespace maru::storage::sqlite
