#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "tests/fuzz/input.hpp"

namespace maru::fuzz {

void holds(bool so, const char* what, std::source_location at) {
  if (so) return;
  std::fprintf(stderr, "%s:%u: does not hold: %s\n", at.file_name(), static_cast<unsigned>(at.line()), what);
  std::abort();
}

// To the library a NUL is the end of the text.
bool is_json(std::string_view text) {
  return text.find('\0') == std::string_view::npos && nlohmann::json::accept(text.begin(), text.end());
}

bool is_text(std::string_view bytes) {
  if (bytes.find('\0') != std::string_view::npos) return false;
  try {
    return !nlohmann::json(bytes).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

bool has_controls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f; });
}

std::uint8_t parts::byte() { return static_cast<std::uint8_t>(number(1)); }

std::uint64_t parts::number(std::size_t bytes) {
  std::uint64_t out = 0;
  for (const char c : take(bytes))
    out = out << 8U | static_cast<std::uint8_t>(c);
  return out;
}

std::string_view parts::take(std::size_t bytes) {
  const auto out = left_.substr(0, bytes);
  left_.remove_prefix(out.size());
  return out;
}

std::string_view parts::line() {
  const auto out = take(std::min(left_.find('\n'), left_.size()));
  take(1);
  return out;
}

std::vector<std::string> in_pieces(std::string_view bytes, std::vector<std::size_t> cuts) {
  std::sort(cuts.begin(), cuts.end());
  std::vector<std::string> out;
  std::size_t from = 0;
  for (const auto cut : cuts) {
    const auto to = std::clamp(cut, from, bytes.size());
    out.emplace_back(bytes.substr(from, to - from));
    from = to;
  }
  out.emplace_back(bytes.substr(from));
  return out;
}

} // namespace maru::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  maru::fuzz::one_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
