#include "storage/sqlite_file.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/folder.hpp"
#include "storage/sqlite_log_check.hpp"
#include "storage/sqlite_statement.hpp"
#include "storage/store.hpp"

namespace maru::storage::sqlite {

namespace {

constexpr ::mode_t owner_only = 0600; // it holds password hashes and signing keys

// In the lock file, behind the id of the process.
constexpr std::string_view mark =
    "There is a database beside this file; without it maru does not begin anew.";

constexpr std::size_t lock_text_bytes = 512; // all that is ever written there

constexpr std::string_view condemned = "Its log was cut while it was open: commits are lost. Restore a "
                                       "backup, or remove this file to go on without.";

std::filesystem::path lock_of(const std::filesystem::path& database) { return database.string() + ".lock"; }

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

std::string text_of(int lock) {
  std::string out(lock_text_bytes, '\0');
  out.resize(static_cast<std::size_t>(std::max<ssize_t>(::pread(lock, out.data(), out.size(), 0), 0)));
  return out;
}

// False: the lock holds all the same, and what the text guards against is not guarded against.
bool write_text(int lock, bool marked, bool is_condemned = false) {
  auto text = std::to_string(::getpid()) + "\n";
  if (marked) text.append(mark).append("\n");
  if (is_condemned) text.append(condemned).append("\n");
  const auto size = static_cast<ssize_t>(text.size());
  return ::pwrite(lock, text.data(), text.size(), 0) == size && ::ftruncate(lock, size) == 0;
}

[[noreturn]] void refuse_second(const std::filesystem::path& database, int lock) {
  const auto text = text_of(lock);
  std::int64_t holder = -1; // where it has not said so
  std::from_chars(text.data(), text.data() + text.size(), holder);
  ::close(lock);
  const auto name = holder > 0 ? "process " + std::to_string(holder) : "another process";
  throw open_error{"the database " + database.string() + " is in use by " + name +
                       "; stop that one first, or name another server.data",
                   holder};
}

int take_lock(const std::filesystem::path& database) {
  const auto file = lock_of(database);
  const int lock = open_file(file, O_RDWR | O_CREAT);
  if (lock < 0) refuse("cannot open the lock file", file, errno);
  if (::flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  const int failed = errno;
  if (failed == EWOULDBLOCK) refuse_second(database, lock);
  ::close(lock);
  refuse("cannot lock", file, failed);
}

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(file, ignored);
  return ignored ? 0 : size;
}

void refuse_lost(const std::filesystem::path& database, bool marked) {
  if (size_of(database) == 0 && (marked || size_of(log_of(database)) > 0))
    throw open_error{"the database " + database.string() +
                     " is gone or empty, though there was one: put it " +
                     "back, or a backup by `maru restore`; to begin anew, remove " + database.string() + "*"};
  if (const auto why = objection_to_log(database); !why.empty()) throw open_error{why};
}

} // namespace

std::string explain_cut(const std::filesystem::path& database) {
  return "the log " + log_of(database).string() +
         " was cut while the database was open, and commits that were acknowledged are lost. Restore a "
         "backup with `maru restore`, which keeps both files; or remove " +
         lock_of(database).string() + " to start with what is left, which may not fit together";
}

file_lock::file_lock(const std::filesystem::path& database, use what) {
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
    const auto text = text_of(lock_);
    const bool marked = text.find(mark) != std::string::npos;
    was_condemned_ = text.find(condemned) != std::string::npos;
    if (what == use::open) {
      refuse_lost(database_, marked);
      if (was_condemned_) throw open_error{explain_cut(database_)};
    }
    write_text(lock_, marked, was_condemned_);
    make_file(database_);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

// The lock file stays: removing it would let two processes lock two files of that name.
file_lock::~file_lock() { ::close(lock_); }

void file_lock::remember() const { write_text(lock_, true); }

void file_lock::condemn() const {
  if (!write_text(lock_, true, true) || ::fsync(lock_) != 0)
    refuse("cannot write", lock_of(database_), errno);
}

void file_lock::leave_mark() const {
  make_folder(database_.parent_path());
  const int fd = open_file(lock_of(database_), O_RDWR | O_CREAT | O_EXCL);
  if (fd < 0) return; // it is there
  write_text(fd, true);
  ::close(fd);
}

// O_PATH: closing any other descriptor of the file would drop the locks that SQLite has on it.
name_watch::name_watch(std::filesystem::path database, const connection& in)
    : database_(std::move(database)), log_(log_of(database_)), in_(in), database_was_(of(database_)),
      log_was_(of(log_)), fd_(::open(database_.c_str(), O_PATH | O_CLOEXEC)) {
  if (fd_ < 0) refuse("cannot open the database", database_, errno);
}

name_watch::~name_watch() { ::close(fd_); }

std::optional<name_watch::identity> name_watch::of(const std::filesystem::path& file) {
  struct stat now{};
  if (::stat(file.c_str(), &now) != 0) return std::nullopt;
  return identity{now.st_dev, now.st_ino};
}

name_watch::state name_watch::look() const {
  if (of(database_) == database_was_) {
    if (of(log_) != log_was_) return state::log_gone;
    return log_was_ && is_cut() ? state::log_cut : state::there;
  }
  struct stat held{};
  return ::fstat(fd_, &held) == 0 && held.st_nlink > 0 ? state::moved : state::removed;
}

// Asked again before it is said: somebody else may have moved what is in the log into the database in
// between.
bool name_watch::is_cut() const {
  const auto shorter = [this] {
    const auto least = in_.log_bytes();
    return size_of(log_) < least;
  };
  return shorter() && shorter(); // NOLINT(misc-redundant-expression)
}

std::filesystem::path name_watch::now_at() const {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd_), ignored);
}

} // namespace maru::storage::sqlite
