#include "net/fields.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "config/limits.hpp"

namespace maru::net {
namespace {

using json = nlohmann::json;

bool is_high(int unit) { return unit >= 0xd800 && unit <= 0xdbff; }
bool is_low(int unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

// Where a lone surrogate is escaped its place is taken by NUL, which no field takes either: the parser would
// refuse the whole. Backslashes are in strings alone; elsewhere the parser refuses them.
std::string_view without_lone_surrogates(std::string_view whole, std::string& copy) {
  for (auto at = whole.find('\\'); at < whole.size(); at = whole.find('\\', at)) {
    const int unit = whole.substr(at + 1, 1) == "u" ? text::hex4(whole.substr(at + 2)) : -1;
    if (unit < 0) {
      at += 2;
    } else if (is_high(unit) && whole.substr(at + 6, 2) == "\\u" &&
               is_low(text::hex4(whole.substr(at + 8)))) {
      at += 12;
    } else {
      if (is_high(unit) || is_low(unit)) {
        if (copy.empty()) copy = whole;
        copy.replace(at + 2, 4, "0000");
      }
      at += 6;
    }
  }
  return copy.empty() ? whole : std::string_view{copy};
}

std::string of_length(span_of allowed, std::string_view unit) {
  return "a string of " + std::to_string(allowed.least) + " to " + std::to_string(allowed.most) + " " +
         std::string{unit};
}

bool within(std::size_t size, span_of allowed) { return size >= allowed.least && size <= allowed.most; }

} // namespace

bool acceptable_inside(const json& value) {
  if (value.is_string()) return text::acceptable(value.get_ref<const std::string&>());
  if (value.is_object())
    return std::all_of(value.items().begin(), value.items().end(), [](const auto& item) {
      return text::acceptable(item.key()) && acceptable_inside(item.value());
    });
  if (value.is_array()) return std::all_of(value.begin(), value.end(), acceptable_inside);
  return true;
}

result<json> parse_object(std::string_view given) {
  if (text::nested_deeper(given, limits::json_depth))
    return refusal{code::invalid_json, "nested deeper than " + std::to_string(limits::json_depth) + " levels",
                   0};
  // To the parser a NUL is the end, whatever stands behind it.
  if (given.find('\0') != std::string_view::npos) return refusal{code::invalid_json, "not valid JSON", 0};
  std::string copy;
  auto out = json::parse(without_lone_surrogates(given, copy), nullptr, false);
  if (out.is_discarded()) return refusal{code::invalid_json, "not valid JSON", 0};
  if (!out.is_object()) return refusal{code::invalid_json, "not a JSON object", 0};
  return out;
}

void fields::refuse(std::string_view name, std::string_view allowed, code why) {
  if (why_) return;
  why_.why = why;
  why_.detail.append(name).append(" must be ").append(allowed);
}

const json* fields::find(const char* name) const {
  const auto at = from_.find(name);
  return at == from_.end() || at->is_null() ? nullptr : &*at;
}

std::optional<std::string> fields::text(const char* name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    refuse(name, "a string");
    return std::nullopt;
  }
  const auto& out = value->get_ref<const std::string&>();
  if (text::acceptable(out)) return out;
  refuse(name, "text without NUL and lone surrogates");
  return std::nullopt;
}

std::optional<std::string> fields::maybe_bytes(const char* name, span_of allowed) {
  auto out = text(name);
  if (out && !within(out->size(), allowed)) refuse(name, of_length(allowed, "bytes"));
  return out;
}

std::optional<std::string> fields::maybe_chars(const char* name, span_of allowed) {
  auto out = text(name);
  if (out && !within(text::length(*out), allowed)) refuse(name, of_length(allowed, "characters"));
  return out;
}

std::string fields::bytes(const char* name, span_of allowed) {
  auto out = maybe_bytes(name, allowed);
  if (!out) refuse(name, of_length(allowed, "bytes"));
  return std::move(out).value_or(std::string{});
}

std::string fields::chars(const char* name, span_of allowed) {
  auto out = maybe_chars(name, allowed);
  if (!out) refuse(name, of_length(allowed, "characters"));
  return std::move(out).value_or(std::string{});
}

std::optional<uuid> fields::maybe_id(const char* name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto out = value->is_string() ? uuid::parse(value->get_ref<const std::string&>()) : std::nullopt;
  if (!out) refuse(name, "a UUID");
  return out;
}

uuid fields::id(const char* name) {
  const auto out = maybe_id(name);
  if (!out) refuse(name, "a UUID");
  return out.value_or(uuid{});
}

std::optional<std::uint64_t> fields::maybe_number(const char* name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  refuse(name, "a whole number, 0 or more");
  return std::nullopt;
}

std::optional<std::vector<std::string>> fields::maybe_names(const char* name, std::size_t most,
                                                            std::size_t chars) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto is_name = [&](const json& one) {
    if (!one.is_string()) return false;
    const auto& s = one.get_ref<const std::string&>();
    return text::acceptable(s) && within(text::length(s), {1, chars});
  };
  if (!value->is_array() || value->size() > most || !std::all_of(value->begin(), value->end(), is_name)) {
    refuse(name, "a list of at most " + std::to_string(most) + " names of 1 to " + std::to_string(chars) +
                     " characters");
    return std::nullopt;
  }
  return value->get<std::vector<std::string>>();
}

std::optional<std::string> fields::maybe_object(const char* name, std::size_t most_bytes) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object() || !acceptable_inside(*value)) {
    refuse(name, "a JSON object without NUL and lone surrogates");
    return std::nullopt;
  }
  auto out = value->dump();
  if (out.size() > most_bytes)
    refuse(name, "at most " + std::to_string(most_bytes) + " bytes", code::too_large);
  return out;
}

} // namespace maru::net
