#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "actors/wire.hpp"

namespace maru::net {

// What lets a browser, which can set no headers, open one WebSocket: works once, for a minute. Thread-safe.
class tickets {
public:
  // Nothing when too many are out.
  std::optional<std::string> give(const actors::identity& to, std::int64_t now_ms);
  std::optional<actors::identity> take(const std::string& ticket, std::int64_t now_ms);

private:
  struct held {
    actors::identity who;
    std::int64_t expires_at = 0;
  };
  void forget_expired(std::int64_t now_ms);

  std::mutex mutex_;
  std::unordered_map<std::string, held> held_;
  std::int64_t swept_at_ = 0;
};

} // namespace maru::net
