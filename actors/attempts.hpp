#pragma once

// What each call for an answer cost: a line of JSON, kept with the answer in the commit that follows it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace maru::actors {

struct attempt_cost {
  std::uint32_t attempt = 1;
  std::string provider; // "": not known, it was lost with its process
  std::string how;      // answered | stopped | lost | budget_spent | a fault's word
  std::int64_t at = 0;  // when it was called, unix ms
  std::int64_t ms = 0;
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  bool estimated = true; // the tokens

  [[nodiscard]] std::uint64_t tokens() const { return prompt_tokens + completion_tokens; }
};

std::string line_of_cost(const attempt_cost& what);
std::vector<attempt_cost> attempts_in(std::string_view lines); // what is damaged is left out

} // namespace maru::actors
