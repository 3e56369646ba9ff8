#include "net/worker.hpp"

#include <exception>

#include <spdlog/spdlog.h>

#include "config/limits.hpp"

namespace maru::net {

void worker::run() {
  while (true) {
    try {
      io_.run();
      return;
    } catch (const std::exception& e) {
      // One connection's trouble (memory, most likely) is not the others'.
      spdlog::error("a network handler failed: {}", e.what());
    }
  }
}

void worker::start_ticking() {
  read_clock();
  timer_.expires_after(std::chrono::milliseconds{limits::net_tick_ms});
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
    if (!failed && !self->stopping_) self->tick();
  });
}

void worker::tick() {
  start_ticking();
  // A member may remove itself, which moves the last one, already seen, to its place.
  for (auto i = members_.size(); i-- > 0;)
    members_[i]->tick(now_ms_);
  if (also_) also_();
}

void worker::drain_all() {
  for (auto i = members_.size(); i-- > 0;)
    members_[i]->drain();
}

void worker::cut_all() {
  stopping_ = true;
  also_ = nullptr;
  timer_.cancel();
  for (auto i = members_.size(); i-- > 0;)
    members_[i]->cut();
}

void worker::end() {
  ended_.store(true, std::memory_order_release);
  io_.restart();
  io_.poll();
}

void worker::add(member& one) {
  one.place_ = members_.size();
  members_.push_back(&one);
  ++shared_->open;
}

void worker::remove(member& one) {
  members_.back()->place_ = one.place_;
  members_[one.place_] = members_.back();
  members_.pop_back();
  --shared_->open;
}

} // namespace maru::net
