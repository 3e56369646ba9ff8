#pragma once

// Finds a thread that handles nothing any more, which nothing inside the process can end. It has a thread of
// its own, and counts looks in vain and no time: a process that was stopped has missed one look.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/loops.hpp"

namespace maru {

class loop_watch {
public:
  struct options {
    std::uint32_t look_ms = 1000;
    std::uint32_t looks_most = 60;          // in vain
    std::function<std::uint64_t()> beats;   // of whoever watches the actors: grows while it does
    std::function<void(std::string)> stuck; // told at each that is found
  };
  loop_watch(loops& on, options how);
  ~loop_watch() { stop(); }
  loop_watch(const loop_watch&) = delete;
  loop_watch& operator=(const loop_watch&) = delete;

  void start(); // looks from now on
  void stop();
  void look();

private:
  loops& on_;
  options how_;
  std::vector<std::uint32_t> in_vain_; // by loop, and at last the beats
  std::uint64_t last_beat_ = 0;
  std::mutex mutex_;
  std::condition_variable over_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace maru
