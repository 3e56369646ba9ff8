#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace maru::text {

// Valid UTF-8 without NUL and without surrogates: what we take from outside.
bool acceptable(std::string_view s);

// NFC, or nothing when `s` is not valid UTF-8.
std::optional<std::string> nfc(std::string_view s);

// NFC and case-folded: how logins and names are compared.
std::optional<std::string> folded(std::string_view s);

// The longest prefix of at most `bytes` bytes that does not cut a character.
std::string_view prefix(std::string_view s, std::size_t bytes);

// How many code points `s` holds; `s` is valid UTF-8.
std::size_t length(std::string_view s);

// The value of a hex digit in either case, or of the four at the start of `s`; -1 when there are none.
int hex_digit(char c);
int hex4(std::string_view s);

// Whether the arrays and objects of a JSON text go deeper than `levels`. The text need not be sound.
bool nested_deeper(std::string_view json, std::size_t levels);

} // namespace maru::text
