// The library behind bad_disk.hpp, loaded into the process before the C library.

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/bad_disk.hpp"

namespace {

using maru::tests::disk_orders;

disk_orders* find_orders() {
  const char* file = std::getenv("MARU_DISK_ORDERS");
  const int fd = file != nullptr ? ::open(file, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return nullptr;
  void* at = ::mmap(nullptr, sizeof(disk_orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<disk_orders*>(at);
}

disk_orders* orders = nullptr;
__attribute__((constructor)) void begin() { orders = find_orders(); }

bool meant(const char* name) { return orders != nullptr && std::strstr(name, ".db") != nullptr; }

bool meant(int fd) {
  if (orders == nullptr) return false;
  char link[32] = "/proc/self/fd/", digits[16];
  std::size_t count = 0;
  do
    digits[count++] = static_cast<char>('0' + fd % 10);
  while ((fd /= 10) != 0);
  for (std::size_t i = 0; i < count; ++i)
    link[14 + i] = digits[count - 1 - i];
  char name[4096];
  const auto size = ::readlink(link, name, sizeof name - 1);
  if (size <= 0) return false;
  name[size] = '\0';
  return meant(name);
}

// Before each call that changes something on the disk.
void change() {
  if (++orders->changes == orders->dies_at) ::kill(::getpid(), SIGKILL);
}

bool write_fails(int fd) {
  if (!meant(fd)) return false;
  change();
  const int error = orders->write_error;
  if (error != 0) errno = error;
  return error != 0;
}

bool sync_fails(int fd) {
  if (!meant(fd)) return false;
  change();
  if (const int ms = orders->sync_delay_ms; ms > 0) {
    const timespec wait{ms / 1000, ms % 1000 * 1'000'000L};
    ++orders->syncing;
    ::nanosleep(&wait, nullptr);
    --orders->syncing;
  }
  const int error = orders->sync_error;
  if (error != 0) errno = error;
  return error != 0;
}

int opened(const char* name, int flags, std::va_list rest) {
  const bool makes = (flags & (O_CREAT | O_TMPFILE)) != 0;
  if (makes && meant(name)) change();
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, name, flags, makes ? va_arg(rest, mode_t) : 0));
}

template <class Function>
Function* next(Function* /*own*/, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

} // namespace

// The C library declares them with attributes of its own, and some twice.
extern "C" {

ssize_t pwrite64(int fd, const void* from, size_t size, off64_t at) {
  return write_fails(fd) ? -1 : ::syscall(SYS_pwrite64, fd, from, size, at);
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t at) { return pwrite64(fd, from, size, at); }
ssize_t write(int fd, const void* from, size_t size) {
  return write_fails(fd) ? -1 : ::syscall(SYS_write, fd, from, size);
}
int ftruncate64(int fd, off64_t size) noexcept {
  return write_fails(fd) ? -1 : static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}
int ftruncate(int fd, off_t size) noexcept { return ftruncate64(fd, size); }
int fdatasync(int fd) { return sync_fails(fd) ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd)); }
int fsync(int fd) { return sync_fails(fd) ? -1 : static_cast<int>(::syscall(SYS_fsync, fd)); }

int rename(const char* from, const char* to) noexcept {
  if (meant(from)) change();
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) noexcept {
  if (meant(from)) change();
  return static_cast<int>(::syscall(SYS_renameat2, from_at, from, to_at, to, flags));
}
int link(const char* from, const char* to) noexcept {
  if (meant(from)) change();
  return static_cast<int>(::syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* name) noexcept {
  if (meant(name)) change();
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, name, 0));
}
int remove(const char* name) noexcept {
  if (meant(name)) change();
  static auto* const real = next(&remove, "remove");
  return real(name);
}
int mkostemp64(char* name, int flags) {
  if (meant(name)) change();
  static auto* const real = next(&mkostemp64, "mkostemp64");
  return real(name, flags);
}
int mkostemp(char* name, int flags) { return mkostemp64(name, flags); }

int open64(const char* name, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const int fd = opened(name, flags, rest);
  va_end(rest);
  return fd;
}
int open(const char* name, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const int fd = opened(name, flags, rest);
  va_end(rest);
  return fd;
}

int clock_gettime(clockid_t which, timespec* out) noexcept {
  static auto* const real = next(&clock_gettime, "clock_gettime");
  const int result = real(which, out);
  if (result == 0 && orders != nullptr && which == CLOCK_REALTIME) out->tv_sec += orders->clock_ahead_s;
  return result;
}

} // extern "C"
