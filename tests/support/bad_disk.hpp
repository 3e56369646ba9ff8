#pragma once

// What a test does to the disk and the clock of a real process: it is started with a library that stands in
// for some calls of the C library (bad_disk_preload.cpp) and reads its orders from memory that both share.
// Only files of the database are meant, those with `.db` in their names.

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

namespace maru::tests {

struct disk_orders {
  std::atomic<int> write_error{0};   // errno of each write; 0: none fails
  std::atomic<int> sync_error{0};    // of each sync
  std::atomic<int> sync_delay_ms{0}; // each sync takes that longer
  std::atomic<int> syncing{0};       // how many wait so at the moment
  std::atomic<int> dies_at{0};       // the n-th call that changes anything ends the process in its place
  std::atomic<int> changes{0};       // such calls so far
  std::atomic<long> clock_ahead_s{0};
};

class bad_disk {
public:
  explicit bad_disk(const std::filesystem::path& library);
  bad_disk(const bad_disk&) = delete;
  bad_disk& operator=(const bad_disk&) = delete;
  ~bad_disk();

  disk_orders* operator->() const { return orders_; }
  // NAME=VALUE, for the process that is to have it.
  [[nodiscard]] std::vector<std::string> environment() const;

private:
  std::string library_, file_;
  disk_orders* orders_ = nullptr;
};

} // namespace maru::tests
