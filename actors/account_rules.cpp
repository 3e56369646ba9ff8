#include "actors/account_rules.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/limits.hpp"

namespace maru::actors {

namespace {

refusal bad(std::string detail) { return {code::invalid_field, std::move(detail), 0}; }

std::string trimmed(const std::string& s) {
  const auto first = s.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return s.substr(first, s.find_last_not_of(' ') - first + 1);
}

// The first character of `s`, which is valid UTF-8 and not empty; moves `s` on.
char32_t take(std::string_view& s) {
  const auto first = static_cast<std::uint8_t>(s.front());
  const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  char32_t c = size == 1 ? first : first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i)
    c = c << 6U | (static_cast<std::uint8_t>(s[i]) & 0x3fU);
  s.remove_prefix(size);
  return c;
}

// Control characters, and what cannot be seen or turns the direction of what follows: names that look alike.
bool hides(char32_t c) {
  const auto within = [c](char32_t from, char32_t to) { return c >= from && c <= to; };
  return c < 0x20 || within(0x7f, 0x9f) || c == 0xad || c == 0x61c || c == 0x180e || c == 0x200b ||
         within(0x200e, 0x200f) || within(0x2028, 0x202e) || within(0x2060, 0x206f) || c == 0xfeff ||
         within(0xfff9, 0xfffb) || within(0xe0000, 0xe007f);
}

// Part of how some scripts and emoji are written, of no use in a login.
bool joins(char32_t c) { return c == 0x200c || c == 0x200d; }

result<std::string> clean(const std::string& given, const char* what, std::size_t chars, bool may_join) {
  if (given.size() > chars * 16) return bad(std::string{what} + " is too long");
  if (!text::acceptable(given)) return bad(std::string{what} + " is not valid text");
  const auto normal = text::nfc(trimmed(given));
  if (!normal) return bad(std::string{what} + " is not valid text");
  if (normal->empty()) return bad(std::string{what} + " is empty");
  if (text::length(*normal) > chars)
    return bad(std::string{what} + " has more than " + std::to_string(chars) + " characters");
  for (std::string_view rest{*normal}; !rest.empty();) {
    const auto c = take(rest);
    if (hides(c) || (joins(c) && !may_join)) return bad(std::string{what} + " holds an invisible character");
  }
  return *normal;
}

} // namespace

result<std::string> clean_username(const std::string& given) {
  return clean(given, "username", limits::username_chars, false);
}

result<std::string> clean_display_name(const std::string& given) {
  return clean(given, "display_name", limits::display_name_chars, true);
}

std::string login_of(const std::string& clean_username) {
  return text::folded(clean_username).value_or(clean_username);
}

refusal check_new_password(const std::string& given) {
  if (given.size() > limits::password_bytes_most)
    return bad("password has more than " + std::to_string(limits::password_bytes_most) + " bytes");
  if (!text::acceptable(given)) return bad("password is not valid text");
  if (text::length(given) < limits::password_chars_least)
    return bad("password has fewer than " + std::to_string(limits::password_chars_least) + " characters");
  return {};
}

refusal check_client_settings(const std::string& given) {
  if (given.size() > limits::client_settings_bytes)
    return bad("settings has more than " + std::to_string(limits::client_settings_bytes) + " bytes");
  const auto first = given.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || given[first] != '{' || text::nested_deeper(given, limits::json_depth) ||
      given.find('\0') != std::string::npos || !nlohmann::json::accept(given))
    return bad("settings is not a JSON object");
  return {};
}

} // namespace maru::actors
