#include "config/address.hpp"

#include <algorithm>

#include "config/load.hpp"
#include "config/values.hpp"
#include "llm/url.hpp"
#include "net/headers.hpp"
#include "tests/fuzz/input.hpp"

// Single values of the configuration: addresses, URLs, origins, names.
namespace maru::fuzz {
namespace {

std::string written(const config::address& what) {
  if (what.local_socket()) return "unix:" + what.path;
  const bool v6 = what.host.find(':') != std::string::npos;
  return (v6 ? "[" + what.host + "]" : what.host) + ":" + std::to_string(what.port);
}

// What ends a line is shown as a blank, and may then stand elsewhere, too.
void check_shown(std::string_view value) {
  const auto shown = config::shown(value);
  holds(!has_controls(shown) && shown.size() < 100, "a shown value is one short line");
  std::string plain{value};
  std::ranges::replace_if(plain, [](char c) { return has_controls({&c, 1}); }, ' ');
  const auto begin = plain.find("://");
  const auto end = plain.rfind('@');
  if (begin == plain.npos || end == plain.npos || end < begin + 6) return;
  const auto secret = plain.substr(begin + 3, end - begin - 3);
  const auto rest = plain.replace(begin + 3, secret.size(), "***");
  if (rest.find(secret) == rest.npos)
    holds(shown.find(secret) == shown.npos, "a password in a URL is not shown");
}

} // namespace

void one_input(std::string_view bytes) {
  const std::string text{bytes};
  if (const auto got = config::parse_address(text)) {
    holds(config::parse_address(written(*got)) == got, "what was read can be written");
    holds(got->local_socket() ? got->host.empty() : !got->host.empty(), "it is a host or a file");
    holds(written(*got).find('\0') == std::string::npos, "without NUL");
  }
  if (config::is_http_url(text)) {
    holds(llm::parse_url(text).has_value(), "what the configuration takes for a URL its user takes, too");
    config::settings settings;
    settings.server.public_url = text;
    const auto standing = net::standing_for(settings);
    config::settings usual;
    usual.server.public_url = text.starts_with("https:") ? "https://h" : "http://h";
    const auto lines = [](const std::string& of) { return std::count(of.begin(), of.end(), '\n'); };
    holds(lines(standing.pages) == lines(net::standing_for(usual).pages), "no header line is made of it");
  }
  if (config::is_origin(text)) holds(!has_controls(text) && is_text(text), "an origin is fit for a header");
  if (config::is_agent_name(text)) holds(is_text(text) && !has_controls(text), "a name is text");
  if (config::is_token(text)) holds(!has_controls(text), "a key is fit for a header");
  check_shown(text);
}

} // namespace maru::fuzz
