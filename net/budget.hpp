#pragma once

// A number of bytes that all connections have in common. Private to net/.

#include <atomic>
#include <cstddef>

namespace maru::net {

class budget {
public:
  explicit budget(std::size_t most) : most_(most) {}
  [[nodiscard]] std::size_t used() const { return used_.load(std::memory_order_relaxed); }

  // What one connection has of it; given back with it.
  class share {
  public:
    explicit share(budget& of) : of_(of) {}
    ~share() { of_.used_ -= bytes_; }
    share(const share&) = delete;
    share& operator=(const share&) = delete;

    // False when there is not so much left: then it stays as it was.
    bool set(std::size_t bytes) {
      if (bytes > bytes_ && of_.used_.fetch_add(bytes - bytes_) + (bytes - bytes_) > of_.most_) {
        of_.used_ -= bytes - bytes_;
        return false;
      }
      if (bytes < bytes_) of_.used_ -= bytes_ - bytes;
      bytes_ = bytes;
      return true;
    }

  private:
    budget& of_;
    std::size_t bytes_ = 0;
  };

private:
  const std::size_t most_;
  std::atomic<std::size_t> used_{0};
};

} // namespace maru::net
