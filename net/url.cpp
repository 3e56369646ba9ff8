#include "net/url.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace maru::net {
namespace {

std::optional<std::string> decoded(std::string_view s, bool plus_is_space) {
  std::string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '%') {
      if (i + 2 >= s.size()) return std::nullopt;
      const int high = text::hex_digit(s[i + 1]);
      const int low = text::hex_digit(s[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && s[i] == '+' ? ' ' : s[i]);
    }
  }
  if (!text::acceptable(out)) return std::nullopt;
  return out;
}

// A "%" that is left was encoded twice; a "\" is a "/" to some.
bool stays_inside(std::string_view path) {
  if (path.find_first_of("%\\") != std::string_view::npos) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

bool take_query(target& to, std::string_view text) {
  while (!text.empty()) {
    const auto part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (part.empty()) continue;
    const auto equals = part.find('=');
    auto name = decoded(part.substr(0, equals), true);
    auto value = decoded(equals == std::string_view::npos ? "" : part.substr(equals + 1), true);
    if (!name || !value) return false;
    to.query.emplace_back(std::move(*name), std::move(*value));
  }
  return true;
}

} // namespace

const std::string* target::find(std::string_view name) const {
  const auto at = std::find_if(query.begin(), query.end(), [&](const auto& q) { return q.first == name; });
  return at == query.end() ? nullptr : &at->second;
}

std::optional<target> parse_target(std::string_view text) {
  // The absolute form, as for proxies: its authority says nothing here.
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    text.remove_prefix(std::min(text.size(), text.find_first_of("/?#", scheme.size())));
    break;
  }
  if (!text.starts_with('/') || text.find('#') != std::string_view::npos) return std::nullopt;
  const auto question = text.find('?');
  target out;
  const auto given = text.substr(0, question);
  auto path = decoded(given, false);
  // A "/" that was hidden would be one segment to whoever stands in front, and two here.
  const auto separators = [](std::string_view of) { return std::count(of.begin(), of.end(), '/'); };
  if (!path || separators(*path) != separators(given) || !stays_inside(*path)) return std::nullopt;
  out.path = std::move(*path);
  if (question != std::string_view::npos && !take_query(out, text.substr(question + 1))) return std::nullopt;
  return out;
}

} // namespace maru::net
