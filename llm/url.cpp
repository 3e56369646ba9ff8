#include "llm/url.hpp"

#include <algorithm>
#include <charconv>

namespace maru::llm {
namespace {

bool starts_with_no_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

bool alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool name_like(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '-' &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
}

bool ipv6_like(std::string_view host) {
  return host.size() >= 2 && host.size() <= 45 && host.find(':') != host.npos &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
                  c == '.';
         });
}

bool path_like(std::string_view path) {
  return std::all_of(path.begin(), path.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '\\'; });
}

bool read_host(std::string_view& authority, std::string& host) {
  if (!authority.empty() && authority.front() == '[') {
    auto end = authority.find(']');
    if (end == authority.npos) return false;
    host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    return ipv6_like(host);
  }
  auto end = std::min(authority.find(':'), authority.size());
  host = authority.substr(0, end);
  authority.remove_prefix(end);
  return name_like(host);
}

bool read_port(std::string_view rest, std::uint16_t& port) {
  if (rest.empty()) return true;
  if (rest.front() != ':' || rest.size() < 2) return false;
  auto [stop, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
  return error == std::errc{} && stop == rest.data() + rest.size() && port != 0;
}

} // namespace

std::string base_url::host_header() const {
  auto name = host.find(':') == host.npos ? host : "[" + host + "]";
  return port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

std::optional<base_url> parse_url(std::string_view text) {
  base_url url;
  if (starts_with_no_case(text, "http://"))
    text.remove_prefix(7);
  else if (starts_with_no_case(text, "https://")) {
    text.remove_prefix(8);
    url.tls = true;
  } else
    return std::nullopt;
  url.port = url.tls ? 443 : 80;
  auto slash = std::min(text.find('/'), text.size());
  auto authority = text.substr(0, slash);
  auto path = text.substr(slash);
  while (!path.empty() && path.back() == '/')
    path.remove_suffix(1);
  if (!read_host(authority, url.host) || !read_port(authority, url.port) || !path_like(path))
    return std::nullopt;
  url.path = path;
  return url;
}

} // namespace maru::llm
