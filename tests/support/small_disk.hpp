#pragma once

#include <filesystem>
#include <string>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/catch.hpp"

namespace maru::tests {

// A file system of its own in memory, that a test can fill. Needs the right to mount.
class small_disk {
public:
  small_disk() {
    auto name = (std::filesystem::temp_directory_path() / "maru-disk-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return;
    where_ = name;
    mounted_ = ::mount("tmpfs", name.c_str(), "tmpfs", 0, "size=8m") == 0;
  }
  ~small_disk() {
    if (mounted_) ::umount2(where_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove(where_, ignored);
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;

  // Where it cannot be, a test says that it tests nothing.
  [[nodiscard]] bool mounted() const {
    if (!mounted_) WARN("not tested: no right to mount a small disk here");
    return mounted_;
  }
  [[nodiscard]] std::filesystem::path data() const { return where_ / "data"; }

  void fill() {
    const int fd = ::open((where_ / "ballast").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    const std::string block(4096, 'x');
    while (::write(fd, block.data(), block.size()) > 0) {
    }
    ::close(fd);
  }
  // Only while nothing on it is open for writing.
  bool make_read_only(bool so) {
    return ::mount("tmpfs", where_.c_str(), "tmpfs", so ? MS_REMOUNT | MS_RDONLY : MS_REMOUNT, "size=8m") ==
           0;
  }
  void make_room() { std::filesystem::remove(where_ / "ballast"); }

private:
  std::filesystem::path where_;
  bool mounted_ = false;
};

} // namespace maru::tests
