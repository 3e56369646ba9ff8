#include "base/loop_watch.hpp"

#include <chrono>
#include <utility>

namespace maru {

namespace {

// A thread that hangs may have the supervisor on it. It is the cause, is found up to two looks later, and is
// to be named: a look only asks it, and the beat of a look may have come just before the look.
constexpr std::uint32_t looks_behind_threads = 2;

} // namespace

loop_watch::loop_watch(loops& on, options how) : on_(on), how_(std::move(how)), in_vain_(on.count() + 1, 0) {}

void loop_watch::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock{mutex_};
    while (!over_.wait_for(lock, std::chrono::milliseconds{how_.look_ms}, [this] { return stopping_; }))
      look();
  });
}

void loop_watch::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  over_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void loop_watch::look() {
  const auto after = [this](std::uint64_t looks) {
    return std::to_string(looks * how_.look_ms / 1000) + " s";
  };
  for (std::size_t i = 0; i < on_.count(); ++i) {
    in_vain_[i] = on_[i].came_round() ? 0 : in_vain_[i] + 1;
    if (in_vain_[i] != how_.looks_most) continue;
    const auto at = on_[i].last_at();
    how_.stuck("thread maru.loop" + std::to_string(i) + " has handled nothing for " + after(how_.looks_most) +
               ", since it began with " +
               (at.actor > 0 ? "actor " + std::to_string(at.actor) + ", " : std::string{}) + at.what);
  }
  if (!how_.beats) return;
  const auto beat = how_.beats();
  auto& in_vain = in_vain_.back();
  in_vain = std::exchange(last_beat_, beat) == beat ? in_vain + 1 : 0;
  const auto most = how_.looks_most + looks_behind_threads;
  if (in_vain == most) how_.stuck("the supervisor of all actors has done nothing for " + after(most));
}

} // namespace maru
