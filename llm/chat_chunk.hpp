#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "llm/provider.hpp"

namespace maru::llm {

// What one `data` of a Chat Completions stream says.
struct chat_chunk {
  bool garbage = false;  // not a JSON object
  bool error = false;    // the provider tells of an error; `error_word` is its code or type, made safe
  bool thinking = false; // a piece of reasoning, which is not shown
  std::string text;      // whole UTF-8 without NUL
  std::string finish;
  std::string model;
  std::string error_word;
  std::optional<usage> tokens;
};

// Bytes that are no UTF-8 and lone surrogates become U+FFFD; fields that are not known are passed over.
chat_chunk parse_chat_chunk(std::string_view data);

// The code or type of an error body, or "".
std::string error_word_of(std::string_view body);

// At most provider_word_chars of letters, digits and "_-.": "" when `word` holds anything else.
std::string safe_word(std::string_view word);

} // namespace maru::llm
