// One token per character of three bytes (what the tokenizers of today need at most for Korean, Japanese and
// Chinese), two per character of four bytes, one per four bytes of anything else.

#include "llm/tokens.hpp"

#include "llm/provider.hpp"

namespace maru::llm {

void token_count::add(std::string_view text) {
  std::uint64_t wide = 0;
  std::uint64_t four = 0;
  for (unsigned char c : text) {
    wide += c >= 0xe0;
    four += c >= 0xf0;
  }
  bytes_ += text.size();
  three_ += wide - four;
  four_ += four;
}

std::uint64_t token_count::total() const {
  auto in_wide = 3 * three_ + 4 * four_;
  auto narrow = bytes_ > in_wide ? bytes_ - in_wide : 0;
  return three_ + 2 * four_ + (narrow + 3) / 4;
}

std::uint64_t estimate_tokens(std::string_view text) {
  token_count count;
  count.add(text);
  return count.total();
}

std::vector<turn> within_budget(std::string_view system_prompt, std::vector<turn> newest_last,
                                std::uint64_t tokens) {
  std::vector<turn> out;
  std::uint64_t used = 0;
  if (!system_prompt.empty()) {
    out.push_back({role::system, std::string(system_prompt)});
    used = estimate_tokens(system_prompt) + tokens_around_turn;
  }
  auto first = newest_last.size();
  while (first > 0) {
    used += estimate_tokens(newest_last[first - 1].text) + tokens_around_turn;
    if (used > tokens && first != newest_last.size()) break;
    --first;
  }
  // Where older turns fell away, a reply to one of them means nothing, and some models refuse to begin with
  // it.
  if (first > 0)
    while (first + 1 < newest_last.size() && newest_last[first].who == role::assistant)
      ++first;
  for (; first < newest_last.size(); ++first)
    out.push_back(std::move(newest_last[first]));
  return out;
}

} // namespace maru::llm
