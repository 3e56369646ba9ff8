#include "storage/sqlite_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include <sqlite3.h>

#include "config/limits.hpp"

namespace maru::storage::sqlite {

// What SQLite holds as the open log; the file of the usual file system lies right behind it.
class log_file : public sqlite3_file {
public:
  int open(sqlite3_vfs* usual, const char* name, int flags, int* flags_out);
  int close();
  int write(const void* from, int size, sqlite3_int64 at);
  int flush();
  int put(const void* from, int size, sqlite3_int64 at);

  void gather() {
    gathering_ = true;
    system_error_ = 0;
  }
  // The outcome of a call below, looked at before another changes errno.
  int noted(int code) {
    if (code != SQLITE_OK) system_error_ = errno;
    return code;
  }
  [[nodiscard]] int system_error() const { return system_error_; }
  [[nodiscard]] bool waits() const { return size_ != 0; }
  void stop() {
    gathering_ = false;
    size_ = 0;
  }

  [[nodiscard]] sqlite3_file* file() { return reinterpret_cast<sqlite3_file*>(this + 1); }

private:
  std::unique_ptr<char[]> waiting_;
  std::size_t size_ = 0;
  sqlite3_int64 at_ = 0; // where in the file the first of them belongs
  bool gathering_ = false;
  int system_error_ = 0;
};

namespace {

log_file& self(sqlite3_file* file) { return *static_cast<log_file*>(file); }

// Asks the file below, with nothing waiting.
template <auto Method, class... Values>
int ask(sqlite3_file* file, Values... values) {
  auto& log = self(file);
  if (const int failed = log.flush(); failed != SQLITE_OK) return failed;
  return log.noted((log.file()->pMethods->*Method)(log.file(), values...));
}

template <auto Method>
struct forwarded;

template <class... Values, int (*sqlite3_io_methods::*Method)(sqlite3_file*, Values...)>
struct forwarded<Method> {
  static int call(sqlite3_file* file, Values... values) { return ask<Method>(file, values...); }
};

constexpr sqlite3_io_methods log_methods{
    .iVersion = 1, // shared memory and mapping are the database file's
    .xClose = [](sqlite3_file* f) { return self(f).close(); },
    .xRead = forwarded<&sqlite3_io_methods::xRead>::call,
    .xWrite = [](sqlite3_file* f, const void* from, int size,
                 sqlite3_int64 at) { return self(f).write(from, size, at); },
    .xTruncate = forwarded<&sqlite3_io_methods::xTruncate>::call,
    .xSync = forwarded<&sqlite3_io_methods::xSync>::call,
    .xFileSize = forwarded<&sqlite3_io_methods::xFileSize>::call,
    .xLock = forwarded<&sqlite3_io_methods::xLock>::call,
    .xUnlock = forwarded<&sqlite3_io_methods::xUnlock>::call,
    .xCheckReservedLock = forwarded<&sqlite3_io_methods::xCheckReservedLock>::call,
    .xFileControl = forwarded<&sqlite3_io_methods::xFileControl>::call,
    .xSectorSize = [](sqlite3_file* f) { return self(f).file()->pMethods->xSectorSize(self(f).file()); },
    .xDeviceCharacteristics =
        [](sqlite3_file* f) { return self(f).file()->pMethods->xDeviceCharacteristics(self(f).file()); },
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr};

// The usual file system under a name of its own, but for how it opens logs.
struct gathering_vfs : sqlite3_vfs {
  explicit gathering_vfs(sqlite3_vfs* of) : sqlite3_vfs(*of), usual(of) {
    szOsFile += static_cast<int>(sizeof(log_file));
    pNext = nullptr;
    zName = "maru";
    xOpen = [](sqlite3_vfs* own, const char* name, sqlite3_file* file, int flags, int* flags_out) {
      auto* below = static_cast<gathering_vfs*>(own)->usual;
      if ((flags & SQLITE_OPEN_WAL) == 0) return below->xOpen(below, name, file, flags, flags_out);
      return (new (file) log_file)->open(below, name, flags, flags_out);
    };
  }

  sqlite3_vfs* usual;
};

} // namespace

int log_file::open(sqlite3_vfs* usual, const char* name, int flags, int* flags_out) {
  pMethods = nullptr; // nothing to close, should it fail
  waiting_.reset(new (std::nothrow) char[limits::database_write_bytes]);
  if (!waiting_) return SQLITE_NOMEM;
  const int code = usual->xOpen(usual, name, file(), flags, flags_out);
  if (code == SQLITE_OK)
    pMethods = &log_methods;
  else
    waiting_.reset();
  return code;
}

int log_file::close() {
  const int code = file()->pMethods->xClose(file());
  this->~log_file();
  return code;
}

int log_file::write(const void* from, int size, sqlite3_int64 at) {
  const auto bytes = static_cast<std::size_t>(size);
  if (size_ != 0 &&
      (at != at_ + static_cast<sqlite3_int64>(size_) || size_ + bytes > limits::database_write_bytes))
    if (const int failed = flush(); failed != SQLITE_OK) return failed;
  if (!gathering_ || bytes > limits::database_write_bytes) return put(from, size, at);
  if (size_ == 0) at_ = at;
  std::memcpy(waiting_.get() + size_, from, bytes);
  size_ += bytes;
  return SQLITE_OK;
}

// The usual file system takes a write's size modulo this.
static_assert(limits::database_write_bytes < 0x20000);

int log_file::flush() {
  if (size_ == 0) return SQLITE_OK;
  const int size = static_cast<int>(size_);
  size_ = 0;
  return put(waiting_.get(), size, at_);
}

// Nothing goes behind a hole: there the log was cut by somebody else, and what was in it is lost. This would
// make it as long again as it has to be, and nobody would see that.
int log_file::put(const void* from, int size, sqlite3_int64 at) {
  sqlite3_int64 end = 0;
  int code = file()->pMethods->xFileSize(file(), &end);
  if (code == SQLITE_OK && at > end) {
    errno = 0;
    code = SQLITE_IOERR_WRITE;
  }
  if (code == SQLITE_OK) code = file()->pMethods->xWrite(file(), from, size, at);
  return noted(code);
}

const char* gathering_file_system() {
  static const char* const name = [] {
    auto* usual = sqlite3_vfs_find(nullptr);
    if (usual == nullptr) return static_cast<const char*>(nullptr);
    static gathering_vfs vfs{usual};
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.zName : nullptr;
  }();
  return name;
}

namespace {

sqlite3_file* log_of(sqlite3* db) {
  sqlite3_file* log = nullptr;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  return log != nullptr && log->pMethods == &log_methods ? log : nullptr;
}

} // namespace

int write_again(sqlite3* db) {
  auto* log = log_of(db);
  if (log == nullptr) return SQLITE_OK;
  sqlite3_int64 size = 0;
  int code = log->pMethods->xFileSize(log, &size);
  std::vector<char> bytes(limits::database_write_bytes);
  for (sqlite3_int64 at = 0; at < size && code == SQLITE_OK;) {
    const int part = static_cast<int>(std::min<sqlite3_int64>(size - at, std::ssize(bytes)));
    code = log->pMethods->xRead(log, bytes.data(), part, at);
    if (code == SQLITE_OK) code = log->pMethods->xWrite(log, bytes.data(), part, at);
    at += part;
  }
  if (code != SQLITE_OK || size == 0) return code;
  return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

gathered_writes::gathered_writes(sqlite3* db) : log_(nullptr) {
  int leaves_beside = -1; // asks
  sqlite3_file_control(db, "main", SQLITE_FCNTL_POWERSAFE_OVERWRITE, &leaves_beside);
  if (leaves_beside != 1) return;
  auto* journal = log_of(db);
  if (journal == nullptr) return;
  log_ = static_cast<log_file*>(journal);
  log_->gather();
}

bool gathered_writes::wait() const { return log_ != nullptr && log_->waits(); }

int gathered_writes::system_error() const { return log_ != nullptr ? log_->system_error() : 0; }

gathered_writes::~gathered_writes() {
  if (log_ != nullptr) log_->stop();
}

} // namespace maru::storage::sqlite
