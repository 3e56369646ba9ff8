#include "net/headers.hpp"

#include <string_view>

namespace maru::net {
namespace {

void add(std::string& to, std::string_view name, std::string_view value) {
  to.append("\r\n").append(name).append(": ").append(value);
}

// Where negotiate may send the page.
std::string page_policy(const config::settings& settings) {
  std::string connect = "'self'";
  if (const auto socket = public_socket(settings); !socket.empty())
    connect += " " + settings.server.public_url + " " + socket;
  return "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
         "form-action 'self'; frame-ancestors 'none'; connect-src " +
         connect;
}

void add_common(std::string& to, const config::settings& settings) {
  add(to, "X-Content-Type-Options", "nosniff");
  add(to, "Referrer-Policy", "no-referrer");
  // Reading by way of CORS is not touched by this; what a page elsewhere merely embeds is.
  add(to, "Cross-Origin-Resource-Policy", "same-origin");
  // Two years, as browsers' lists of such hosts want it; other hosts of the domain are not ours to bind.
  if (settings.server.public_url.starts_with("https:"))
    add(to, "Strict-Transport-Security", "max-age=63072000");
}

} // namespace

standing_headers standing_for(const config::settings& settings) {
  standing_headers out;
  add_common(out.api, settings);
  add(out.api, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  add_common(out.pages, settings);
  add(out.pages, "Content-Security-Policy", page_policy(settings));
  add(out.pages, "X-Frame-Options", "DENY");
  add(out.pages, "Cross-Origin-Opener-Policy", "same-origin");
  add(out.pages, "Permissions-Policy",
      "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
      "microphone=(), midi=(), payment=(), usb=()");
  return out;
}

std::string public_socket(const config::settings& settings) {
  const std::string& base = settings.server.public_url;
  if (!base.starts_with("http")) return {};
  return "ws" + base.substr(4, base.find_last_not_of('/') - 3);
}

} // namespace maru::net
