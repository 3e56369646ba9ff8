#pragma once

// What one address may ask for while nobody vouches for it: [limits] *_per_minute_per_address. Invariants:
// - Each bound is a bucket that holds a minute's worth and fills evenly.
// - A request that shows no token pays before it is looked at; one that shows a token pays when that is
// refused.
// - While its bucket is empty, an address gets nothing without a token; and nothing with one either, if the
// last
//   token that came from there was refused. So guessing tokens costs what asking without one costs.

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>

#include "config/settings.hpp"

namespace maru::net {

// An IPv4 address, or the half of an IPv6 address that names a network: its owner has the other half.
using address_key = std::uint64_t;
address_key key_of(const std::array<std::uint8_t, 16>& v6); // IPv4 as ::ffff:a.b.c.d
inline constexpr address_key uncounted = ~address_key{0};   // a network that nobody comes from: has no bounds

// Thread-safe. What may not be now is answered with the milliseconds to wait; 0: it may.
class address_limits {
public:
  explicit address_limits(const config::limit_settings& settings);

  std::uint32_t take_request(address_key from, std::int64_t now_ms);
  std::uint32_t take_signup(address_key from, std::int64_t now_ms);
  // Before a token is asked about, and after.
  std::uint32_t wait_with_token(address_key from, std::int64_t now_ms);
  void token_was(bool accepted, address_key from, std::int64_t now_ms);

private:
  // How far ahead of the clock what was taken reaches; a minute ahead is empty.
  class bucket {
  public:
    std::uint32_t wait(std::uint32_t per_minute, std::int64_t now_ms) const;
    void take(std::uint32_t per_minute, std::int64_t now_ms);
    std::uint32_t take_or_wait(std::uint32_t per_minute, std::int64_t now_ms);

  private:
    std::int64_t until_us_ = 0;
  };
  struct seen {
    bucket requests, signups;
    bool token_refused = false;
    std::int64_t last_ms = 0;
    std::list<address_key>::iterator place;
  };

  seen& look_up(address_key from, std::int64_t now_ms);
  void make_room(std::int64_t now_ms);

  const std::uint32_t requests_, signups_; // a minute; 0: no bound
  std::mutex mutex_;
  std::map<address_key, seen> seen_; // a tree: whoever has many addresses cannot make them collide
  std::list<address_key> order_;     // seen longest ago first
};

} // namespace maru::net
