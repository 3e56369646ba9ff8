#pragma once

#include <string>
#include <string_view>

// What a single value may look like.
namespace maru::config {

bool is_http_url(std::string_view s);
bool is_origin(std::string_view s);
bool is_storage_url(std::string_view s);
bool is_plain_name(std::string_view s); // of a provider
bool is_agent_name(std::string_view s);
bool is_token(std::string_view s); // fit for an HTTP header; may be empty

// For a message: quoted, short, one line, without a password inside a URL.
std::string shown(std::string_view value);

std::size_t edits_between(std::string_view a, std::string_view b);

// The one of `known` that was probably meant, or "".
template <class Names>
std::string_view nearest(std::string_view written, const Names& known) {
  std::string_view best;
  std::size_t least = written.size() / 3 + 2; // farther than this is another word
  for (const std::string_view name : known) {
    const auto edits = edits_between(written, name);
    if (edits < least) {
      least = edits;
      best = name;
    }
  }
  return best;
}

} // namespace maru::config
