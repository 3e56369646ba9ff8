#include "config/values.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <vector>

#include <arpa/inet.h>

#include "base/text.hpp"

namespace maru::config {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }

bool is_host(std::string_view s) {
  constexpr std::size_t longest_name = 253;
  const auto fits = [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; };
  return !s.empty() && s.size() <= longest_name && s.front() != '-' && std::ranges::all_of(s, fits);
}

bool is_port(std::string_view s) {
  std::uint16_t port = 0;
  const auto* end = s.data() + s.size();
  const auto [stopped, failed] = std::from_chars(s.data(), end, port);
  return failed == std::errc{} && stopped == end && port != 0;
}

bool is_ipv6(std::string_view s) {
  in6_addr room{};
  return inet_pton(AF_INET6, std::string{s}.c_str(), &room) == 1 && s.find('\0') == std::string_view::npos;
}

// host or host:port, without a user.
bool is_authority(std::string_view s) {
  const bool v6 = s.starts_with('[');
  const auto end_of_host = std::min(v6 ? s.find(']') : s.find(':'), s.size());
  if (v6 && end_of_host == s.size()) return false;
  const auto port = s.substr(end_of_host + (v6 ? 1 : 0));
  if (v6 ? !is_ipv6(s.substr(1, end_of_host - 1)) : !is_host(s.substr(0, end_of_host))) return false;
  return port.empty() || (port.front() == ':' && is_port(port.substr(1)));
}

std::size_t after_scheme(std::string_view s) {
  const auto at = s.find("://");
  return at == std::string_view::npos ? s.size() : at + 3;
}

} // namespace

// No more than llm::parse_url takes: what is wrong is to be found before the start.
bool is_http_url(std::string_view s) {
  if (!s.starts_with("http://") && !s.starts_with("https://")) return false;
  if (!std::ranges::all_of(s, is_visible) || s.find_first_of("?#\\") != std::string_view::npos) return false;
  const auto rest = s.substr(after_scheme(s));
  return is_authority(rest.substr(0, rest.find('/')));
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
