#pragma once

// The database's file and who may have it open: one process at a time, held by a lock file beside it.

#include <filesystem>

namespace maru::storage::sqlite {

class file_lock {
public:
  // Makes the folder and the empty file if they are missing, readable by their owner alone.
  // Throws open_error.
  explicit file_lock(const std::filesystem::path& database);
  file_lock(const file_lock&) = delete;
  file_lock& operator=(const file_lock&) = delete;
  ~file_lock();

  // Absolute, links resolved.
  [[nodiscard]] const std::filesystem::path& database() const { return database_; }

private:
  std::filesystem::path database_;
  int lock_ = -1;
};

} // namespace maru::storage::sqlite
