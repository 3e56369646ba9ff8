#include "llm/chat_chunk.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/limits.hpp"

namespace maru::llm {
namespace {

using json = nlohmann::json;

enum class field : std::uint8_t {
  other,
  choices,
  choice, // the first of them
  delta,
  content,
  reasoning,
  finish_reason,
  usage,
  prompt_tokens,
  completion_tokens,
  model,
  object,
  error,
  code,
  type,
};

field field_of(std::string_view key) {
  static constexpr std::array<std::pair<std::string_view, field>, 15> names{{
      {"choices", field::choices},
      {"delta", field::delta},
      {"content", field::content},
      {"refusal", field::content},
      {"reasoning_content", field::reasoning},
      {"reasoning", field::reasoning},
      {"finish_reason", field::finish_reason},
      {"usage", field::usage},
      {"prompt_tokens", field::prompt_tokens},
      {"completion_tokens", field::completion_tokens},
      {"model", field::model},
      {"object", field::object},
      {"error", field::error},
      {"code", field::code},
      {"type", field::type},
  }};
  for (const auto& [name, value] : names)
    if (name == key) return value;
  return field::other;
}

// Reads the few fields that matter while the parser passes over the text; builds no tree.
class reader : public json::json_sax_t {
public:
  explicit reader(chat_chunk& to) : to_(to) {}

  bool null() override { return value(); }
  bool boolean(bool b) override { return b ? scalar() : value(); }
  bool number_integer(number_integer_t n) override {
    // nlohmann tells non-negative numbers as unsigned
    if (at(field::error, field::code)) code_ = std::to_string(n);
    return scalar();
  }
  bool number_unsigned(number_unsigned_t n) override {
    if (at(field::usage, field::prompt_tokens))
      tokens().prompt_tokens = n;
    else if (at(field::usage, field::completion_tokens))
      tokens().completion_tokens = n;
    else if (at(field::error, field::code) || at(field::code))
      code_ = std::to_string(n);
    return scalar();
  }
  bool number_float(number_float_t, const string_t&) override { return scalar(); }
  bool binary(binary_t&) override { return scalar(); }
  bool string(string_t& s) override {
    auto empty = s.empty();
    text(s);
    return empty ? value() : scalar();
  }

  bool key(string_t& k) override {
    if (depth_ <= path_.size() && depth_ > 0) path_[depth_ - 1] = field_of(k);
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth_ == 0) object_ = true;
    if (at(field::error)) to_.error = true;
    return open();
  }
  bool end_object() override { return shut(); }
  bool start_array(std::size_t) override {
    if (at(field::error)) to_.error = true;
    open();
    // only the elements of `choices` are looked into, and of them the first
    if (depth_ <= path_.size())
      path_[depth_ - 1] = depth_ == 2 && path_[0] == field::choices ? field::choice : field::other;
    return true;
  }
  bool end_array() override { return shut(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

  [[nodiscard]] bool object() const { return object_; }

  void finish() {
    if (to_.error) to_.error_word = !safe_word(code_).empty() ? safe_word(code_) : safe_word(type_);
  }

private:
  template <class... Fields>
  [[nodiscard]] bool at(Fields... fields) const {
    if (depth_ != sizeof...(fields)) return false;
    std::size_t i = 0;
    return ((path_[i++] == fields) && ...);
  }

  usage& tokens() {
    if (!to_.tokens) to_.tokens.emplace().estimated = false;
    return *to_.tokens;
  }

  void text(string_t& s) {
    if (at(field::choices, field::choice, field::delta, field::content))
      to_.text += s;
    else if (at(field::choices, field::choice, field::delta, field::reasoning))
      to_.thinking = to_.thinking || !s.empty();
    else if (at(field::choices, field::choice, field::finish_reason))
      to_.finish = std::move(s);
    else if (at(field::model))
      to_.model = std::move(s);
    else if (at(field::object))
      to_.error = to_.error || s == "error";
    else if (at(field::error, field::code) || at(field::code))
      code_ = std::move(s);
    else if (at(field::error, field::type) || at(field::type))
      type_ = std::move(s);
  }

  bool scalar() {
    if (at(field::error)) to_.error = true;
    return value();
  }

  // A value of an array is over: what follows is not its first.
  bool value() {
    if (depth_ > 0 && depth_ <= path_.size() && path_[depth_ - 1] == field::choice)
      path_[depth_ - 1] = field::other;
    return true;
  }
  bool open() {
    ++depth_;
    if (depth_ <= path_.size()) path_[depth_ - 1] = field::other;
    return true;
  }
  bool shut() {
    --depth_;
    return value();
  }

  chat_chunk& to_;
  std::array<field, 4> path_{};
  std::size_t depth_ = 0;
  std::string code_;
  std::string type_;
  bool object_ = false;
};

// How many bytes of UTF-8 a character at the start of `s` has; 0 when there is none.
std::size_t utf8_length(std::string_view s) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(i < s.size() ? s[i] : 0); };
  auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  auto b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return tail(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef)
    return tail(1, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf) && tail(2) ? 3 : 0;
  if (b >= 0xf0 && b <= 0xf4)
    return tail(1, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf) && tail(2) && tail(3) ? 4 : 0;
  return 0;
}

// How many bytes of the escape at the start of `s` are sound; 0 for a lone surrogate.
std::size_t escape_length(std::string_view s) {
  if (s.size() < 2 || s[1] != 'u') return std::min<std::size_t>(2, s.size());
  auto unit = text::hex4(s.substr(2));
  if (unit < 0xd800 || unit > 0xdfff) return 2;
  if (unit <= 0xdbff && s.size() >= 12 && s[6] == '\\' && s[7] == 'u') {
    auto low = text::hex4(s.substr(8));
    if (low >= 0xdc00 && low <= 0xdfff) return 12;
  }
  return 0;
}

std::string repaired(std::string_view data) {
  std::string out;
  out.reserve(data.size() + 16);
  while (!data.empty()) {
    auto escape = data.front() == '\\';
    auto n = escape ? escape_length(data) : utf8_length(data);
    if (n == 0) {
      out += escape ? "\\ufffd" : "\xef\xbf\xbd";
      n = escape ? 6 : 1;
    } else
      out += data.substr(0, n);
    data.remove_prefix(n);
  }
  return out;
}

bool read_chunk(std::string_view data, chat_chunk& to) {
  reader r(to);
  if (!json::sax_parse(data.begin(), data.end(), &r) || !r.object()) return false;
  r.finish();
  return true;
}

void replace_nul(std::string& s) {
  for (auto at = s.find('\0'); at != s.npos; at = s.find('\0', at + 3))
    s.replace(at, 1, "\xef\xbf\xbd");
}

} // namespace

std::string safe_word(std::string_view word) {
  auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
  };
  if (word.size() > limits::provider_word_chars || !std::all_of(word.begin(), word.end(), fits)) return {};
  return std::string(word);
}

chat_chunk parse_chat_chunk(std::string_view data) {
  chat_chunk chunk;
  if (!read_chunk(data, chunk)) {
    chunk = {};
    auto sound = repaired(data);
    if (sound == data || !read_chunk(sound, chunk)) {
      chunk = {};
      chunk.garbage = true;
      return chunk;
    }
  }
  replace_nul(chunk.text);
  chunk.finish = chunk.finish.empty() || !safe_word(chunk.finish).empty() ? chunk.finish : "other";
  replace_nul(chunk.model);
  chunk.model = text::prefix(chunk.model, limits::provider_model_bytes);
  return chunk;
}

std::string error_word_of(std::string_view body) {
  auto chunk = parse_chat_chunk(body);
  return chunk.error ? chunk.error_word : std::string{};
}

} // namespace maru::llm
