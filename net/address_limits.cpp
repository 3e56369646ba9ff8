#include "net/address_limits.hpp"

#include <algorithm>

#include "config/limits.hpp"

namespace maru::net {
namespace {

constexpr std::int64_t minute_us = std::int64_t{limits::minute_ms} * 1000;

} // namespace

address_key key_of(const std::array<std::uint8_t, 16>& v6) {
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool v4 = std::equal(mapped.begin(), mapped.end(), v6.begin());
  address_key out = 0; // a network is never as small as an IPv4 address: ::/32 is nobody's
  for (std::size_t i = v4 ? mapped.size() : 0; i < (v4 ? v6.size() : sizeof out); ++i)
    out = out << 8U | v6[i];
  return out;
}

std::uint32_t address_limits::bucket::wait(std::uint32_t per_minute, std::int64_t now_ms) const {
  const auto now = now_ms * 1000;
  const auto over = std::max(until_us_, now) + minute_us / per_minute - now - minute_us;
  return over <= 0 ? 0 : static_cast<std::uint32_t>((over + 999) / 1000);
}

void address_limits::bucket::take(std::uint32_t per_minute, std::int64_t now_ms) {
  const auto now = now_ms * 1000;
  until_us_ = std::min(std::max(until_us_, now) + minute_us / per_minute, now + minute_us);
}

std::uint32_t address_limits::bucket::take_or_wait(std::uint32_t per_minute, std::int64_t now_ms) {
  const auto ms = wait(per_minute, now_ms);
  if (ms == 0) take(per_minute, now_ms);
  return ms;
}

address_limits::address_limits(const config::limit_settings& settings)
    : requests_(settings.requests_per_minute_per_address), signups_(settings.signups_per_minute_per_address) {
}

std::uint32_t address_limits::take_request(address_key from, std::int64_t now_ms) {
  if (requests_ == 0 || from == uncounted) return 0;
  const std::lock_guard lock{mutex_};
  return look_up(from, now_ms).requests.take_or_wait(requests_, now_ms);
}

std::uint32_t address_limits::take_signup(address_key from, std::int64_t now_ms) {
  if (signups_ == 0 || from == uncounted) return 0;
  const std::lock_guard lock{mutex_};
  return look_up(from, now_ms).signups.take_or_wait(signups_, now_ms);
}

std::uint32_t address_limits::wait_with_token(address_key from, std::int64_t now_ms) {
  if (requests_ == 0 || from == uncounted) return 0;
  const std::lock_guard lock{mutex_};
  const auto at = seen_.find(from);
  if (at == seen_.end() || !at->second.token_refused) return 0;
  return at->second.requests.wait(requests_, now_ms);
}

void address_limits::token_was(bool accepted, address_key from, std::int64_t now_ms) {
  if (requests_ == 0 || from == uncounted) return;
  const std::lock_guard lock{mutex_};
  if (accepted) { // nothing new to remember
    if (const auto at = seen_.find(from); at != seen_.end()) at->second.token_refused = false;
    return;
  }
  auto& one = look_up(from, now_ms);
  one.token_refused = true;
  one.requests.take(requests_, now_ms);
}

address_limits::seen& address_limits::look_up(address_key from, std::int64_t now_ms) {
  auto at = seen_.find(from);
  if (at == seen_.end()) {
    make_room(now_ms);
    at = seen_.try_emplace(from).first;
    at->second.place = order_.insert(order_.end(), from);
  }
  auto& one = at->second;
  order_.splice(order_.end(), order_, one.place);
  one.last_ms = now_ms;
  return one;
}

// After a minute without a request the buckets are full again, and nothing is worth remembering.
void address_limits::make_room(std::int64_t now_ms) {
  while (!order_.empty()) {
    const auto oldest = seen_.find(order_.front());
    const bool idle = now_ms - oldest->second.last_ms > limits::minute_ms;
    if (!idle && seen_.size() < limits::addresses_remembered) return;
    seen_.erase(oldest);
    order_.pop_front();
  }
}

} // namespace maru::net
