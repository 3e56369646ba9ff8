#include "llm/provider.hpp"
#include "llm/tokens.hpp"

#include "tests/support/catch.hpp"

using namespace maru::llm;

TEST_CASE("a token is guessed per Korean, Japanese or Chinese character, and per four bytes of other text") {
  CHECK(estimate_tokens("") == 0);
  CHECK(estimate_tokens("abcd") == 1);
  CHECK(estimate_tokens("abcde") == 2);
  CHECK(estimate_tokens("안녕하세요") == 5);
  CHECK(estimate_tokens("日本語") == 3);
  CHECK(estimate_tokens("😀") == 2);
  CHECK(estimate_tokens("안녕 abc") == 3);
  CHECK(estimate_tokens("\xff\xff\xff") > 0);
}

TEST_CASE("a text counted in parts, cut anywhere, counts like the whole") {
  const std::string text = "안녕 😀 hello 日本";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    token_count n;
    n.add(std::string_view(text).substr(0, i));
    n.add(std::string_view(text).substr(i));
    CHECK(n.total() == estimate_tokens(text));
  }
}

namespace {

std::vector<std::string> texts(const std::vector<turn>& turns) {
  std::vector<std::string> out;
  for (const auto& t : turns)
    out.push_back(t.text);
  return out;
}

const std::vector<turn> talk{{role::user, "one!"},
                             {role::assistant, "two!"},
                             {role::user, "thre"},
                             {role::assistant, "four"},
                             {role::user, "five"}};

} // namespace

TEST_CASE("the newest turns that fit are taken, oldest first, after the system prompt") {
  using list = std::vector<std::string>;
  // each of these turns costs 1 + 4 tokens, and so does the prompt
  CHECK(texts(within_budget("syst", talk, 30)) == list{"syst", "one!", "two!", "thre", "four", "five"});
  CHECK(texts(within_budget("", talk, 25)) == list{"one!", "two!", "thre", "four", "five"});
  CHECK(texts(within_budget("syst", talk, 20)) == list{"syst", "thre", "four", "five"});
  CHECK(within_budget("syst", talk, 20)[0].who == role::system);
}

TEST_CASE("a reply whose question fell away goes with it") {
  CHECK(texts(within_budget("", talk, 10)) == std::vector<std::string>{"five"});
  CHECK(texts(within_budget("", talk, 24)) == std::vector<std::string>{"thre", "four", "five"});
}

TEST_CASE("the last turn always goes") {
  CHECK(texts(within_budget("syst", talk, 0)) == std::vector<std::string>{"syst", "five"});
  CHECK(within_budget("", {}, 100).empty());
}
