#include "base/text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <utf8proc.h>

namespace maru::text {
namespace {

bool continues(char c) { return (static_cast<std::uint8_t>(c) & 0xc0U) == 0x80U; }

// How many bytes of ASCII `s` begins with, in steps of eight.
std::size_t ascii_prefix(std::string_view s) {
  std::size_t at = 0;
  for (; at + 8 <= s.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, s.data() + at, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (at < s.size() && static_cast<std::uint8_t>(s[at]) < 0x80U)
    ++at;
  return at;
}

// The length of the well-formed character at the start of `s` (Unicode, table 3-7), or 0.
std::size_t well_formed(std::string_view s) {
  const auto byte = [&](std::size_t i) -> unsigned { return static_cast<std::uint8_t>(s[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || s.size() < size) return 0;
  unsigned least = 0x80;
  unsigned most = 0xbf;
  if (first == 0xe0) least = 0xa0; // overlong
  if (first == 0xed) most = 0x9f;  // surrogates
  if (first == 0xf0) least = 0x90; // overlong
  if (first == 0xf4) most = 0x8f;  // beyond U+10FFFF
  if (byte(1) < least || byte(1) > most) return 0;
  for (std::size_t i = 2; i < size; ++i)
    if (!continues(s[i])) return 0;
  return size;
}

bool valid(std::string_view s) {
  while (true) {
    s.remove_prefix(ascii_prefix(s));
    if (s.empty()) return true;
    const auto size = well_formed(s);
    if (size == 0) return false;
    s.remove_prefix(size);
  }
}

std::optional<std::string> mapped(std::string_view s, int how) {
  utf8proc_uint8_t* raw = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(s.data()),
                                 static_cast<utf8proc_ssize_t>(s.size()), &raw,
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | how));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner{raw, &std::free};
  if (size < 0) return std::nullopt;
  return std::string{reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size)};
}

} // namespace

bool acceptable(std::string_view s) { return s.find('\0') == std::string_view::npos && valid(s); }

std::optional<std::string> nfc(std::string_view s) {
  if (ascii_prefix(s) == s.size()) return std::string{s};
  if (!valid(s)) return std::nullopt;
  return mapped(s, 0);
}

std::optional<std::string> folded(std::string_view s) {
  if (ascii_prefix(s) == s.size()) {
    std::string out{s};
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
  }
  // Marks are put in order before a mark folds to a letter, behind which they would stay.
  auto out = nfc(s);
  if (out) out = mapped(*out, UTF8PROC_CASEFOLD);
  // Composing can make a character that folds further, so that equal names would stay apart.
  for (int round = 0; out && round < 3; ++round) {
    auto again = mapped(*out, UTF8PROC_CASEFOLD);
    if (again == out) break;
    out = std::move(again);
  }
  return out;
}

std::string_view prefix(std::string_view s, std::size_t bytes) {
  if (s.size() <= bytes) return s;
  auto end = bytes;
  while (end > 0 && continues(s[end]))
    --end;
  return s.substr(0, end);
}

std::size_t length(std::string_view s) {
  return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [](char c) { return !continues(c); }));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int hex4(std::string_view s) {
  if (s.size() < 4) return -1;
  int out = 0;
  for (const char c : s.substr(0, 4)) {
    const int digit = hex_digit(c);
    if (digit < 0) return -1;
    out = out * 16 + digit;
  }
  return out;
}

bool nested_deeper(std::string_view json, std::size_t levels) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted) {
      if (c == '"') quoted = false;
      if (c == '\\') ++i;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > levels) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

} // namespace maru::text
