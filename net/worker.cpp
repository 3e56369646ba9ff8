#include "net/worker.hpp"

#include "config/limits.hpp"

namespace maru::net {

void worker::start_ticking() {
  read_clock();
  timer_.expires_after(std::chrono::milliseconds{limits::net_tick_ms});
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
    if (!failed && !self->stopping_) self->tick();
  });
}

void worker::tick() {
  start_ticking();
  each([now = now_ms_](member& one) { one.tick(now); });
  if (also_) also_();
}

void worker::drain_all() {
  each([](member& one) { one.drain(); });
}

void worker::cut_all(std::function<void()> done) {
  stopping_ = true;
  also_ = nullptr;
  timer_.cancel();
  each([](member& one) { one.cut(); });
  ended_.store(true, std::memory_order_release);
  // Behind what was cut, and what was posted before.
  asio::post(io(), std::move(done));
}

void worker::add(std::shared_ptr<member> one) {
  one->place_ = members_.size();
  members_.push_back(std::move(one));
  ++shared_->open;
}

void worker::remove(member& one) {
  const auto at = one.place_;
  const auto keep = std::exchange(members_[at], std::move(members_.back()));
  members_.pop_back();
  if (at < members_.size()) members_[at]->place_ = at;
  --shared_->open;
}

} // namespace maru::net
