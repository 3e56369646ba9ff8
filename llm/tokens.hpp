#pragma once

#include <cstdint>
#include <string_view>

namespace maru::llm {

// An estimate that grows with its text; the parts may be cut between characters.
class token_count {
public:
  void add(std::string_view text);
  [[nodiscard]] std::uint64_t total() const;

private:
  std::uint64_t bytes_ = 0;
  std::uint64_t three_ = 0; // characters of three bytes: Korean, Japanese, Chinese and the like
  std::uint64_t four_ = 0;  // of four: emoji, rare characters
};

inline constexpr std::uint64_t tokens_around_turn = 4; // the role and the marks around a turn

} // namespace maru::llm
