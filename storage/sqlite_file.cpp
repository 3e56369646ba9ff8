#include "storage/sqlite_file.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/folder.hpp"
#include "storage/store.hpp"

namespace maru::storage::sqlite {

namespace {

constexpr ::mode_t owner_only = 0600; // it holds password hashes and signing keys

[[noreturn]] void refuse(const std::string& what, const std::filesystem::path& where, int error) {
  throw open_error{what + " " + where.string() + ": " + std::strerror(error)};
}

int open_file(const std::filesystem::path& file, int flags) {
  int fd = -1;
  do
    fd = ::open(file.c_str(), flags | O_CLOEXEC, owner_only);
  while (fd < 0 && errno == EINTR);
  return fd;
}

void make_file(const std::filesystem::path& file) {
  const bool is_new = !std::filesystem::exists(file);
  const int fd = open_file(file, O_RDWR | O_CREAT);
  if (fd < 0) refuse("cannot open the database", file, errno);
  ::close(fd);
  if (is_new) sync_folder(file.parent_path());
}

// -1 where it has not said so.
std::int64_t holder_of(int lock) {
  std::array<char, 32> text{};
  const auto size = ::pread(lock, text.data(), text.size(), 0);
  std::int64_t id = -1;
  if (size > 0) std::from_chars(text.data(), text.data() + size, id);
  return id;
}

int take_lock(const std::filesystem::path& database) {
  const std::filesystem::path file = database.string() + ".lock";
  const int lock = open_file(file, O_RDWR | O_CREAT);
  if (lock < 0) refuse("cannot open the lock file", file, errno);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int failed = errno;
    const auto holder = holder_of(lock);
    ::close(lock);
    if (failed != EWOULDBLOCK) refuse("cannot lock", file, failed);
    const auto name = holder > 0 ? "process " + std::to_string(holder) : "another process";
    throw open_error{"the database " + database.string() + " is in use by " + name +
                         "; stop that one first, or name another server.data",
                     holder};
  }
  // For the message above only: the lock is what counts, so a failure here is none.
  const auto id = std::to_string(::getpid());
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, id.data(), id.size(), 0) < 0) return lock;
  return lock;
}

} // namespace

file_lock::file_lock(const std::filesystem::path& database) {
  if (database.empty() || !database.has_filename())
    throw open_error{"storage.url names no file; write it as sqlite:FILE"};
  try {
    database_ = std::filesystem::weakly_canonical(std::filesystem::absolute(database));
    make_folder(database_.parent_path());
  } catch (const std::filesystem::filesystem_error& e) {
    throw open_error{e.what()};
  }
  lock_ = take_lock(database_);
  try {
    make_file(database_);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

// The lock file stays: removing it would let two processes lock two files of that name.
file_lock::~file_lock() { ::close(lock_); }

} // namespace maru::storage::sqlite
