#include "storage/folder.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/store.hpp"

namespace maru::storage {

namespace {

constexpr ::mode_t owner_only = 0700;

const char* advice(int system_error) {
  switch (system_error) {
  case ENOSPC:
  case EDQUOT:
    return "; make room on the disk";
  case EROFS:
  case EPERM:
    return "; make the file and its file system writable";
  case EACCES:
    return "; give the user that runs this the right to write there";
  case EISDIR:
  case ENOTDIR:
    return "; name another place";
  case EIO:
    return "; look at the disk (dmesg)";
  default:
    return "";
  }
}

bool is_folder(const std::filesystem::path& where) {
  std::error_code ignored;
  return std::filesystem::is_directory(where, ignored);
}

void make(const std::filesystem::path& folder) {
  if (is_folder(folder)) return;
  const auto above = folder.parent_path();
  if (above != folder) make(above);
  // With its rights from the beginning: there is no moment in which others may look in.
  if (::mkdir(folder.c_str(), owner_only) != 0) {
    const int failed = errno;
    if (failed == EEXIST && is_folder(folder)) return;
    refuse("cannot make the folder", folder, failed == EEXIST ? ENOTDIR : failed);
  }
  sync_folder(above);
}

} // namespace

void refuse(const std::string& what, const std::filesystem::path& where, int system_error) {
  throw open_error{what + " " + where.string() + ": " + std::strerror(system_error) + advice(system_error)};
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  const auto whole = std::filesystem::absolute(folder, failed);
  if (failed) refuse("cannot find the folder", folder, failed.value());
  make(whole);
}

void sync_folder(const std::filesystem::path& folder) {
  int fd = -1;
  do
    fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) refuse("cannot open the folder", folder, errno);
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // Some file systems cannot sync a folder, and do not need it.
  if (failed != 0 && failed != EINVAL) refuse("cannot sync the folder", folder, failed);
}

} // namespace maru::storage
