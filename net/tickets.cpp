#include "net/tickets.hpp"

#include <array>

#include <sodium.h>

#include "base/sodium.hpp"
#include "config/limits.hpp"

namespace maru::net {
namespace {

std::string random_ticket() {
  std::array<unsigned char, 32> bytes;
  randombytes_buf(bytes.data(), bytes.size());
  constexpr int form = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::string out(sodium_base64_ENCODED_LEN(bytes.size(), form), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes.data(), bytes.size(), form);
  out.pop_back(); // the terminator
  return out;
}

} // namespace

std::optional<std::string> tickets::give(const actors::identity& to, std::int64_t now_ms) {
  make_sodium_ready();
  auto out = random_ticket();
  const std::lock_guard lock{mutex_};
  forget_expired(now_ms);
  if (held_.size() >= limits::tickets) return std::nullopt;
  held_.emplace(out, held{to, now_ms + limits::ticket_ms});
  return out;
}

std::optional<actors::identity> tickets::take(const std::string& ticket, std::int64_t now_ms) {
  const std::lock_guard lock{mutex_};
  const auto at = held_.extract(ticket);
  if (at.empty() || at.mapped().expires_at <= now_ms) return std::nullopt;
  return std::move(at.mapped().who);
}

// Each ticket is looked at some ten times in its life, however many are out.
void tickets::forget_expired(std::int64_t now_ms) {
  if (now_ms - swept_at_ < limits::ticket_ms / 10 && held_.size() < limits::tickets) return;
  swept_at_ = now_ms;
  std::erase_if(held_, [&](const auto& one) { return one.second.expires_at <= now_ms; });
}

} // namespace maru::net
