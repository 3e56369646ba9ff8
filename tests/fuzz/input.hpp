#pragma once

// What the targets share. Each defines one_input(): it takes any bytes, and states what holds for them.

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace maru::fuzz {

void one_input(std::string_view bytes);

// A property. One that does not hold ends the program, and the fuzzer keeps the input.
void holds(bool so, const char* what, std::source_location at = std::source_location::current());

bool is_json(std::string_view text);
// Valid UTF-8 without NUL, judged by another library than the product's.
bool is_text(std::string_view bytes);
// Characters that could end a header line, or steer a terminal.
bool has_controls(std::string_view text);

// Takes an input apart, from its front. What is not there any more is 0 or empty.
class parts {
public:
  explicit parts(std::string_view bytes) : left_(bytes) {}

  std::uint8_t byte();
  std::uint64_t number(std::size_t bytes);
  std::size_t up_to(std::size_t most) { return static_cast<std::size_t>(number(2)) % (most + 1); }
  std::string_view take(std::size_t bytes);
  std::string_view line();
  std::string_view rest() { return take(left_.size()); }
  [[nodiscard]] bool empty() const { return left_.empty(); }

private:
  std::string_view left_;
};

// A copy of its own, so that reading beyond the end is seen.
std::vector<std::string> in_pieces(std::string_view bytes, std::vector<std::size_t> cuts);

} // namespace maru::fuzz
