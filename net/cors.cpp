#include "net/cors.hpp"

#include <algorithm>

#include "config/limits.hpp"

namespace maru::net {
namespace {

bool is_listed(const config::settings& settings, std::string_view origin) {
  const auto& all = settings.server.cors_origins;
  return std::find(all.begin(), all.end(), origin) != all.end();
}

// Without its path.
std::string_view origin_of(std::string_view url) {
  const auto scheme = url.find("://");
  return scheme == std::string_view::npos ? url : url.substr(0, url.find('/', scheme + 3));
}

bool is_own(const config::settings& settings, const http_request& request) {
  const std::string_view origin = request.origin;
  if (same_word(origin, origin_of(settings.server.public_url))) return true;
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme) && same_word(origin.substr(scheme.size()), request.host)) return true;
  return false;
}

} // namespace

void allow_origin(http_reply& to, const config::settings& settings, std::string_view origin) {
  if (settings.server.cors_origins.empty()) return;
  to.headers.emplace_back("Vary", "Origin");
  if (!is_listed(settings, origin)) return;
  to.headers.emplace_back("Access-Control-Allow-Origin", origin);
  to.headers.emplace_back("Access-Control-Allow-Credentials", "true");
  to.headers.emplace_back("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
}

std::optional<http_reply> preflight(const config::settings& settings, const http_request& request,
                                    const std::string& methods) {
  if (request.method != "OPTIONS" || !request.asks_first || !is_listed(settings, request.origin))
    return std::nullopt;
  http_reply out;
  out.status = 204;
  out.headers.emplace_back("Access-Control-Allow-Methods", methods);
  out.headers.emplace_back("Access-Control-Allow-Headers",
                           "Authorization, Content-Type, Last-Event-ID, X-Request-Id");
  out.headers.emplace_back("Access-Control-Max-Age", std::to_string(limits::preflight_kept_seconds));
  return out;
}

// Sec-Fetch-Site is the browser's own word, right also behind a proxy that changes Host.
bool is_foreign(const config::settings& settings, const http_request& request) {
  if (request.fetch_site == "same-origin" || request.fetch_site == "none") return false;
  if (request.origin.empty()) return !request.fetch_site.empty();
  return !is_listed(settings, request.origin) && !is_own(settings, request);
}

} // namespace maru::net
