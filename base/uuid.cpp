#include "base/uuid.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <sodium.h>

#include "base/sodium.hpp"
#include "base/text.hpp"

namespace maru {
namespace {

// Random bytes, fetched in blocks: a system call for each id would cost more than the id.
class random_block {
public:
  std::uint64_t next() {
    if (used_ == words_.size()) {
      randombytes_buf(words_.data(), sizeof words_);
      used_ = 0;
    }
    return words_[used_++];
  }

private:
  std::array<std::uint64_t, 64> words_{};
  std::size_t used_ = words_.size();
};

std::uint64_t random_word() {
  make_sodium_ready();
  thread_local random_block block;
  return block.next();
}

// Milliseconds above 12 bits of counter, as the id carries them. Taking a stamp never goes back, not even
// when the clock does; more than 4096 ids in a millisecond borrow from the next one.
std::uint64_t take_stamp(std::int64_t unix_ms) {
  static std::atomic<std::uint64_t> last{0};
  constexpr std::int64_t most_ms = (std::int64_t{1} << 48) - 1;
  const auto now = static_cast<std::uint64_t>(std::clamp<std::int64_t>(unix_ms, 0, most_ms)) << 12U;
  auto before = last.load(std::memory_order_relaxed);
  std::uint64_t mine = 0;
  do {
    mine = std::max(before + 1, now);
  } while (!last.compare_exchange_weak(before, mine, std::memory_order_relaxed));
  return mine;
}

void put(std::uint8_t* to, std::uint64_t word) {
  for (int i = 7; i >= 0; --i) {
    to[i] = static_cast<std::uint8_t>(word);
    word >>= 8U;
  }
}

bool hyphen_before(std::size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

// Clients choose the ids of their commands: without a secret they could choose them to collide.
struct hash_secret {
  std::uint64_t low = random_word();
  std::uint64_t high = random_word();
};

} // namespace

bool uuid::nil() const {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

std::string uuid::str() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(36, '-');
  auto to = out.begin();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (hyphen_before(i)) ++to;
    *to++ = digits[bytes[i] >> 4U];
    *to++ = digits[bytes[i] & 0x0fU];
  }
  return out;
}

std::optional<uuid> uuid::parse(std::string_view from) {
  if (from.size() != 36) return std::nullopt;
  uuid out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < out.bytes.size(); ++i) {
    if (hyphen_before(i) && from[at++] != '-') return std::nullopt;
    const int high = text::hex_digit(from[at]);
    const int low = text::hex_digit(from[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    at += 2;
  }
  return out;
}

uuid uuid::v7(std::int64_t unix_ms) {
  const auto stamp = take_stamp(unix_ms);
  uuid out;
  put(out.bytes.data(), (stamp >> 12U) << 16U | 0x7000U | (stamp & 0x0fffU));
  put(out.bytes.data() + 8, (random_word() >> 2U) | (std::uint64_t{0b10} << 62U));
  return out;
}

} // namespace maru

std::size_t std::hash<maru::uuid>::operator()(const maru::uuid& id) const noexcept {
  static const maru::hash_secret secret;
  std::uint64_t halves[2];
  std::memcpy(halves, id.bytes.data(), sizeof halves);
  __extension__ using wide = unsigned __int128;
  const auto product = static_cast<wide>(halves[0] ^ secret.low) * (halves[1] ^ secret.high);
  const auto mixed = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  // One half may be chosen to make a factor tiny; the second round does not let that show.
  const auto again = static_cast<wide>(mixed ^ halves[1]) * (secret.low | 1U);
  return static_cast<std::size_t>(static_cast<std::uint64_t>(again) ^
                                  static_cast<std::uint64_t>(again >> 64U));
}
