#include "net/json_out.hpp"

#include <array>
#include <charconv>

#include "base/clock.hpp"

namespace maru::net {
namespace {

constexpr std::array<bool, 256> must_escape = [] {
  std::array<bool, 256> out{};
  for (std::size_t i = 0; i < 0x20; ++i)
    out[i] = true;
  out['"'] = out['\\'] = true;
  return out;
}();

void append_escape(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c) {
  case '"':
    out += "\\\"";
    return;
  case '\\':
    out += "\\\\";
    return;
  case '\n':
    out += "\\n";
    return;
  case '\r':
    out += "\\r";
    return;
  case '\t':
    out += "\\t";
    return;
  case '\b':
    out += "\\b";
    return;
  case '\f':
    out += "\\f";
    return;
  default:
    break;
  }
  const auto byte = static_cast<std::uint8_t>(c);
  out += "\\u00";
  out.push_back(digits[byte >> 4U]);
  out.push_back(digits[byte & 0x0fU]);
}

} // namespace

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!must_escape[static_cast<std::uint8_t>(text[i])]) continue;
    out.append(text, from, i - from);
    append_escape(out, text[i]);
    from = i + 1;
  }
  out.append(text, from, text.size() - from);
  out.push_back('"');
}

void append_number(std::string& out, std::uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

object& object::name(std::string_view name) {
  if (!first_) out_.push_back(',');
  first_ = false;
  out_.push_back('"');
  out_.append(name);
  out_.append("\":");
  return *this;
}

object& object::text(std::string_view key, std::string_view value) {
  name(key);
  append_string(out_, value);
  return *this;
}

object& object::number(std::string_view key, std::uint64_t value) {
  name(key);
  append_number(out_, value);
  return *this;
}

object& object::flag(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }

object& object::id(std::string_view key, const uuid& value) {
  name(key);
  out_.push_back('"');
  out_ += value.str();
  out_.push_back('"');
  return *this;
}

object& object::raw(std::string_view key, std::string_view json) {
  name(key);
  out_.append(json);
  return *this;
}

void event_fields(object& to, std::string& out, const uuid& room, const actors::event_fact& event) {
  to.id("room", room).number("seq", event.seq).id("id", event.id).text("kind", event.kind);
  to.text("at", rfc3339(event.at)).name("author");
  object author{out};
  author.text("kind", event.author_kind);
  if (!event.author_id.nil()) author.id("id", event.author_id);
  author.text("name", event.author_name).end();
  to.raw("data", event.data.empty() ? std::string_view{"{}"} : std::string_view{event.data});
}

void append_asked(std::string& out, const std::vector<actors::asked>& answers) {
  append_array(out, answers, [](std::string& to, const actors::asked& one) {
    object{to}.id("answer", one.answer).text("agent", one.agent).end();
  });
}

std::string_view word(actors::answer_state state) {
  switch (state) {
  case actors::answer_state::queued:
    return "queued";
  case actors::answer_state::thinking:
    return "thinking";
  case actors::answer_state::streaming:
    return "streaming";
  case actors::answer_state::recovering:
    break;
  }
  return "recovering";
}

} // namespace maru::net
