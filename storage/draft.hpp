#pragma once

// A file in the making, under a name of its own beside the one that it is for: gone again unless it was kept,
// since half a copy passes for none. Those that a kill left are removed by the next one for the same name.

#include <cstdint>
#include <filesystem>
#include <string>

namespace maru::storage {

// All throw open_error.
class draft {
public:
  // Readable by its owner alone: it holds password hashes and signing keys.
  explicit draft(const std::filesystem::path& for_whom);
  draft(const draft&) = delete;
  draft& operator=(const draft&) = delete;
  ~draft();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void copy_from(const std::filesystem::path& file) const;
  void sync() const;
  // Under `name`, and on disk. Never over a file that came there meanwhile, where the file system can tell.
  void keep_as(const std::filesystem::path& name);
  // At any moment there is the one or the other under `name`; what was there is then `kept`, and at no moment
  // without a name that stays.
  void replace(const std::filesystem::path& name, const std::filesystem::path& kept);
  void replace_empty(const std::filesystem::path& name);

private:
  void rename_to(const std::filesystem::path& name);

  std::filesystem::path path_;
  int fd_ = -1; // locked: nobody takes it for a leftover
};

// A free name for what is kept beside a file: its own, the word, and the time.
std::filesystem::path name_beside(const std::filesystem::path& file, const std::string& word,
                                  std::int64_t now_ms);

} // namespace maru::storage
