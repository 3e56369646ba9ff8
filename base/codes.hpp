#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// Every word and number by which maru refuses something, in one place.
namespace maru {

enum class code : std::uint8_t {
  ok,
  invalid_json,
  invalid_field,
  bad_order,
  unknown_type,
  unauthenticated,
  forbidden,
  not_found,
  method_not_allowed,
  conflict,
  too_large,
  rate_limited,
  quota_exceeded,
  overloaded,
  storage_unavailable,
  internal,
};

struct code_info {
  code value;
  std::string_view word; // stable; what clients switch on
  int http_status;
  std::string_view title; // for people
};

const code_info& info(code c);
inline std::string_view word(code c) { return info(c).word; }

// Why something was refused, and what to do about it.
struct refusal {
  code why = code::ok;
  std::string detail;
  std::uint32_t retry_after_ms = 0;

  explicit operator bool() const { return why != code::ok; }
};

template <class Inspector>
auto inspect(Inspector& f, refusal& x) {
  return f(x.why, x.detail, x.retry_after_ms);
}

// Why an entry of a mailbox became a dead letter; kept and told as a word.
enum class burial : std::uint8_t {
  poison,       // it killed its actor again and again
  expired,      // nobody had taken it up when its time was over
  refused,      // what it asked for may not be, or cannot be any more
  budget_spent, // its attempts, or what they may cost, were used up
};
inline constexpr std::array<std::string_view, 4> burials{"poison", "expired", "refused", "budget_spent"};
constexpr std::string_view word(burial why) { return burials[static_cast<std::size_t>(why)]; }

// Whose mailboxes there are: the first part of a mailbox's name.
enum class mailbox_kind : std::uint8_t {
  agent, // questions to one agent of one room
  room,  // what a room is to be told later
};
inline constexpr std::array<std::string_view, 2> mailbox_kinds{"agent", "room"};
constexpr std::string_view word(mailbox_kind of) { return mailbox_kinds[static_cast<std::size_t>(of)]; }

// WebSocket close codes; mirrored to the browser client by a test.
enum class close_code : std::uint16_t {
  normal = 1000,
  draining = 1001,
  not_utf8 = 1007,
  too_large = 1009,
  bad_protocol = 4400,
  token_refused = 4401,
  forbidden = 4403,
  no_hello = 4408,
  taken_over = 4409,
  too_many_connections = 4429,
  overloaded = 4503,
  slow_reader = 4508,
};

} // namespace maru
