#include "llm/demo.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace maru::llm {
namespace {

constexpr std::size_t quote_bytes = 200;
constexpr std::size_t piece_chars_without_spaces = 2;

struct phrases {
  std::string_view heading;
  std::string_view intro;
  std::string_view characters;
  std::string_view words;
  std::string_view lines;
  std::string_view as_code;
  std::string_view closing;
};

constexpr phrases english{"You asked",
                          "This is the built-in demo model. It knows nothing, but it can count:",
                          "characters",
                          "words",
                          "lines",
                          "The same as code:",
                          "Configure a provider to talk to a real model."};
constexpr phrases korean{"질문",
                         "내장 데모 모델입니다. 아는 것은 없지만 셀 수는 있습니다:",
                         "글자 수",
                         "단어 수",
                         "줄 수",
                         "코드로 쓰면 다음과 같습니다:",
                         "실제 모델과 대화하려면 제공자를 설정하세요."};
constexpr phrases japanese{"ご質問",
                           "これは内蔵のデモモデルです。知識はありませんが、数えることはできます:",
                           "文字数",
                           "単語数",
                           "行数",
                           "コードで書くと次のとおりです:",
                           "実際のモデルと話すには、プロバイダーを設定してください。"};
constexpr phrases chinese{
    "您的问题",      "这是内置的演示模型。它什么都不知道,但会数数:", "字符数", "词数", "行数",
    "写成代码就是:", "要与真正的模型对话,请配置一个提供者。"};

// The code point at the start of `s`, which is valid UTF-8, and its length; a stray byte counts as itself.
std::pair<char32_t, std::size_t> first_char(std::string_view s) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  auto tail = [&](std::size_t i) { return char32_t{byte(i)} & 0x3fU; };
  auto b = byte(0);
  if (b >= 0xf0 && s.size() >= 4)
    return {((b & 0x07U) << 18U) | (tail(1) << 12U) | (tail(2) << 6U) | tail(3), 4};
  if (b >= 0xe0 && s.size() >= 3) return {((b & 0x0fU) << 12U) | (tail(1) << 6U) | tail(2), 3};
  if (b >= 0xc0 && s.size() >= 2) return {((b & 0x1fU) << 6U) | tail(1), 2};
  return {b, 1};
}

bool hangul(char32_t c) { return (c >= 0xac00 && c <= 0xd7a3) || (c >= 0x1100 && c <= 0x11ff); }
bool kana(char32_t c) { return c >= 0x3040 && c <= 0x30ff; }
bool han(char32_t c) { return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf); }
bool without_spaces(char32_t c) { return hangul(c) || kana(c) || han(c) || (c >= 0x3000 && c <= 0x303f); }

const phrases& phrases_for(std::string_view question) {
  bool any_han = false;
  while (!question.empty()) {
    auto [c, size] = first_char(question);
    if (hangul(c)) return korean;
    if (kana(c)) return japanese;
    any_han = any_han || han(c);
    question.remove_prefix(size);
  }
  return any_han ? chinese : english;
}

struct counts {
  std::size_t characters = 0;
  std::size_t words = 0;
  std::size_t lines = 0;
};

counts count(std::string_view question) {
  counts n;
  n.lines = question.empty() ? 0 : 1;
  bool in_word = false;
  while (!question.empty()) {
    auto [c, size] = first_char(question);
    auto space = c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == 0x3000;
    n.lines += c == '\n' ? 1 : 0;
    n.words += !space && !in_word ? 1 : 0;
    in_word = !space;
    ++n.characters;
    question.remove_prefix(size);
  }
  return n;
}

std::string quote(std::string_view question) {
  auto begin = question.find_first_not_of(" \t\r\n");
  if (begin == question.npos) return "…";
  question.remove_prefix(begin);
  auto line = question.substr(0, question.find_first_of("\r\n"));
  auto shown = text::prefix(line, quote_bytes);
  return std::string(shown) + (shown.size() < question.size() ? " …" : "");
}

} // namespace

std::string demo_answer(std::string_view question) {
  const auto& say = phrases_for(question);
  auto n = count(question);
  auto item = [](std::string_view what, std::size_t many) {
    return "- " + std::string(what) + ": **" + std::to_string(many) + "**\n";
  };
  std::string out;
  out.append("## ").append(say.heading).append("\n\n> ").append(quote(question)).append("\n\n");
  out.append(say.intro).append("\n\n");
  out += item(say.characters, n.characters) + item(say.words, n.words) + item(say.lines, n.lines);
  out.append("\n").append(say.as_code).append("\n\n```json\n");
  out += "{\"characters\": " + std::to_string(n.characters) + ", \"words\": " + std::to_string(n.words) +
         ", \"lines\": " + std::to_string(n.lines) + "}\n```\n\n";
  out.append(say.closing).append("\n");
  return out;
}

std::vector<std::string> demo_pieces(std::string_view answer) {
  std::vector<std::string> pieces;
  std::string piece;
  std::size_t wide = 0;
  while (!answer.empty()) {
    auto [c, size] = first_char(answer);
    piece += answer.substr(0, size);
    answer.remove_prefix(size);
    wide += without_spaces(c) ? 1 : 0;
    if (c == ' ' || c == '\n' || wide == piece_chars_without_spaces) {
      pieces.push_back(std::exchange(piece, {}));
      wide = 0;
    }
  }
  if (!piece.empty()) pieces.push_back(std::move(piece));
  return pieces;
}

} // namespace maru::llm
