#include "storage/draft.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/folder.hpp"

namespace maru::storage {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t random_chars = 6;
constexpr std::size_t copied_at_once_bytes = 1U << 20U;

std::string stem_of(const fs::path& for_whom) { return for_whom.filename().string() + ".partial-"; }

// Nobody holds the lock of a leftover. What SQLite was writing into it may have a journal beside it.
void remove_leftover(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
    ::unlink((file.string() + "-journal").c_str());
    ::unlink(file.c_str());
  }
  ::close(fd);
}

// Only what has the name and the kind of a draft. One that cannot be looked for or removed does no harm.
void remove_leftovers(const fs::path& for_whom) {
  const auto stem = stem_of(for_whom);
  std::error_code ignored;
  std::vector<fs::path> found;
  for (fs::directory_iterator at(for_whom.parent_path(), ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    const auto name = at->path().filename().string();
    if (name.starts_with(stem) && name.size() == stem.size() + random_chars && at->is_regular_file(ignored))
      found.push_back(at->path());
  }
  std::for_each(found.begin(), found.end(), remove_leftover);
}

void write_all(int to, const char* from, std::size_t size, const fs::path& path) {
  while (size > 0) {
    const auto written = ::write(to, from, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) refuse("cannot write", path, errno);
    from += written;
    size -= static_cast<std::size_t>(written);
  }
}

} // namespace

fs::path name_beside(const fs::path& file, const std::string& word, std::int64_t now_ms) {
  const std::time_t seconds = now_ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> stamp{};
  const auto size = std::strftime(stamp.data(), stamp.size(), "%Y%m%dT%H%M%SZ", &utc);
  const auto first = file.string() + word + std::string(stamp.data(), size);
  fs::path out = first;
  for (int n = 2; fs::exists(out); ++n)
    out = first + "-" + std::to_string(n);
  return out;
}

draft::draft(const fs::path& for_whom) {
  const auto whole = fs::absolute(for_whom);
  remove_leftovers(whole);
  auto name = (whole.parent_path() / stem_of(whole)).string() + std::string(random_chars, 'X');
  fd_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) refuse("cannot make", name, errno);
  ::flock(fd_, LOCK_EX);
  path_ = name;
}

draft::~draft() {
  if (!path_.empty()) ::unlink(path_.c_str());
  ::close(fd_);
}

void draft::copy_from(const fs::path& file) const {
  const int from = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0) refuse("cannot open", file, errno);
  try {
    std::vector<char> chunk(copied_at_once_bytes);
    while (true) {
      const auto got = ::read(from, chunk.data(), chunk.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) refuse("cannot read", file, errno);
      if (got == 0) break;
      write_all(fd_, chunk.data(), static_cast<std::size_t>(got), path_);
    }
  } catch (...) {
    ::close(from);
    throw;
  }
  ::close(from);
}

void draft::sync() const {
  if (::fsync(fd_) != 0) refuse("cannot write", path_, errno);
}

void draft::keep_as(const fs::path& name) {
  sync();
  int failed =
      ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  if (failed == EINVAL || failed == ENOSYS) failed = ::rename(path_.c_str(), name.c_str()) == 0 ? 0 : errno;
  if (failed != 0) refuse("cannot make", name, failed);
  path_.clear();
  sync_folder(name.parent_path());
}

void draft::rename_to(const fs::path& name) {
  if (::rename(path_.c_str(), name.c_str()) != 0) refuse("cannot make", name, errno);
  path_.clear();
}

void draft::replace(const fs::path& name, const fs::path& kept) {
  const auto own = path_;
  rename_to(kept);
  if (::renameat2(AT_FDCWD, kept.c_str(), AT_FDCWD, name.c_str(), RENAME_EXCHANGE) != 0) {
    fs::rename(kept, own);
    path_ = own;
    fs::create_hard_link(name, kept);
    rename_to(name);
  }
  sync_folder(name.parent_path());
}

void draft::replace_empty(const fs::path& name) {
  rename_to(name);
  sync_folder(name.parent_path());
}

} // namespace maru::storage
