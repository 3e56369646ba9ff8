#include "config/values.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/text.hpp"

namespace maru::config {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }

// host or host:port, without a user.
bool is_authority(std::string_view s) {
  if (s.empty()) return false;
  const auto end_of_host = s.front() == '[' ? s.find(']') : s.find(':');
  if (s.front() == '[' && (end_of_host == std::string_view::npos || end_of_host < 3)) return false;
  auto host = s.substr(0, end_of_host);
  auto port = end_of_host == std::string_view::npos ? std::string_view{} : s.substr(end_of_host);
  if (s.front() == '[') {
    host.remove_prefix(1);
    port.remove_prefix(1);
  }
  const auto in_host = [&](char c) {
    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || (s.front() == '[' && c == ':');
  };
  if (host.empty() || !std::ranges::all_of(host, in_host)) return false;
  if (port.empty()) return true;
  port.remove_prefix(std::min<std::size_t>(1, port.size()));
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !port.empty() && port.size() <= 5 && std::ranges::all_of(port, is_digit);
}

std::size_t after_scheme(std::string_view s) {
  const auto at = s.find("://");
  return at == std::string_view::npos ? s.size() : at + 3;
}

} // namespace

bool is_http_url(std::string_view s) {
  if (!s.starts_with("http://") && !s.starts_with("https://")) return false;
  if (!std::ranges::all_of(s, is_visible)) return false;
  const auto rest = s.substr(after_scheme(s));
  return is_authority(rest.substr(0, rest.find_first_of("/?#")));
}

// Only what a browser may send is of use: compared byte by byte.
bool is_origin(std::string_view s) {
  if (std::ranges::any_of(s, [](char c) { return c >= 'A' && c <= 'Z'; })) return false;
  if (s.starts_with("http://") && s.ends_with(":80")) return false;
  if (s.starts_with("https://") && s.ends_with(":443")) return false;
  const auto begin = after_scheme(s);
  const auto scheme = s.substr(0, begin < 3 ? 0 : begin - 3);
  const auto in_scheme = [](char c) { return is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; };
  return !scheme.empty() && begin < s.size() && std::ranges::all_of(scheme, in_scheme) &&
         is_authority(s.substr(begin));
}

bool is_storage_url(std::string_view s) {
  constexpr std::string_view embedded = "sqlite:";
  return s.starts_with(embedded) && s.size() > embedded.size();
}

bool is_plain_name(std::string_view s) {
  const auto fits = [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; };
  return !s.empty() && s.size() <= 64 && std::ranges::all_of(s, fits);
}

bool is_agent_name(std::string_view s) {
  const auto fits = [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || (is_visible(c) && c != '/' && c != '@' && c != ',');
  };
  return !s.empty() && s.size() <= 64 && text::acceptable(s) && std::ranges::all_of(s, fits);
}

bool is_token(std::string_view s) { return std::ranges::all_of(s, is_visible); }

std::string shown(std::string_view value) {
  std::string clean{value};
  // Whatever stands between :// and @ may be a password.
  if (const auto begin = after_scheme(clean); begin < clean.size()) {
    const auto end = clean.rfind('@');
    if (end != std::string::npos && end > begin) clean.replace(begin, end - begin, "***");
  }
  constexpr std::size_t most = 80;
  const auto part = text::prefix(clean, most);
  std::string out = "\"";
  for (const char c : part)
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return out + (part.size() < clean.size() ? "…\"" : "\"");
}

std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, changed});
    }
  }
  return row.back();
}

} // namespace maru::config
