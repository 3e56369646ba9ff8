#include "tests/support/bad_disk.hpp"

#include <new>
#include <stdexcept>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

namespace maru::tests {

bad_disk::bad_disk(const std::filesystem::path& library)
    : library_(library), file_((std::filesystem::temp_directory_path() / "maru-orders-XXXXXX").string()) {
  const int fd = ::mkstemp(file_.data());
  if (fd < 0 || ::ftruncate(fd, sizeof(disk_orders)) != 0) throw std::runtime_error("cannot make " + file_);
  void* at = ::mmap(nullptr, sizeof(disk_orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (at == MAP_FAILED) throw std::runtime_error("cannot map " + file_);
  orders_ = new (at) disk_orders;
}

bad_disk::~bad_disk() {
  ::munmap(orders_, sizeof(disk_orders));
  ::unlink(file_.c_str());
}

std::vector<std::string> bad_disk::environment() const {
  return {"LD_PRELOAD=" + library_, "MARU_DISK_ORDERS=" + file_};
}

} // namespace maru::tests
