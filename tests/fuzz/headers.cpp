#include <algorithm>

#include "config/limits.hpp"
#include "net/content_coding.hpp"
#include "net/cors.hpp"
#include "net/http.hpp"
#include "tests/fuzz/input.hpp"

// Header values: cookies, tokens, lists, weights, origins. The first line of an input is what is looked for.
namespace maru::fuzz {
namespace {

std::string upper(std::string_view s) {
  std::string out{s};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

void check_cookies(std::string_view name, std::string_view list) {
  const auto value = net::cookie_value(list, name);
  holds(value.size() <= limits::token_bytes && value.find(';') == value.npos, "one cookie's value, bounded");
  if (!value.empty())
    holds(list.find(std::string{name} + "=" + value) != list.npos, "a cookie was there as name=value");
  const auto plain = name.find_first_of("=; \t") == name.npos;
  if (plain)
    holds(net::cookie_value(std::string{name} + "=first; " + std::string{list}, name) == "first",
          "the first of a name counts");
}

void check_lists(std::string_view word, std::string_view list) {
  holds(net::has_token(list, word) == net::has_token(upper(list), word), "case does not matter");
  const auto item = word.find(',') == word.npos && word == net::first_token(word);
  if (item)
    holds(net::has_token("x ,\t" + std::string{word} + " ", word), "blanks around a part do not matter");
}

void check_bearer(std::string_view value) {
  const auto token = net::bearer_token(value);
  holds(token.size() <= limits::token_bytes, "a token is bounded");
  if (token.empty()) return;
  holds(net::same_word(value.substr(0, 6), "bearer") && value.find(token) != value.npos,
        "it stands behind Bearer");
  holds(net::bearer_token("BEARER " + token) == token, "the scheme has no case");
}

void check_codings(std::string_view accept) {
  for (const bool gzip : {false, true})
    for (const bool br : {false, true}) {
      const auto got = net::choose_coding(accept, gzip, br);
      holds(got == net::choose_coding(upper(accept), gzip, br), "codings have no case");
      holds(got != net::coding::gzip || gzip, "no gzip where there is none");
      holds(got != net::coding::br || br, "no brotli where there is none");
      if (!got)
        holds(upper(accept).find("IDENTITY") != accept.npos || accept.find('*') != accept.npos,
              "only who says so takes nothing plain");
    }
}

void check_origin(std::string_view origin, std::string_view host) {
  config::settings settings;
  settings.server.cors_origins = {"https://chat.example"};
  net::http_request request;
  request.origin = origin;
  request.host = host;
  net::http_reply reply;
  net::allow_origin(reply, settings, request.origin);
  for (const auto& [name, value] : reply.headers)
    holds(!has_controls(value), "no header is made of what a stranger wrote");
  const bool listed = reply.headers.size() > 1;
  holds(listed == (origin == "https://chat.example"), "only the listed may read");
  if (listed) holds(!net::is_foreign(settings, request), "and are no strangers");
  if (origin.empty()) return;
  const auto own = std::string{"https://"} + std::string{host};
  if (own == origin) holds(!net::is_foreign(settings, request), "nor are our own pages");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const std::string first{in.line()}, second{in.rest()};
  check_cookies(first, second);
  check_lists(first, second);
  check_bearer(second);
  check_codings(second);
  check_origin(first, second);
  if (net::sane_request_id(first))
    holds(!first.empty() && first.size() <= limits::request_id_chars && !has_controls(first) &&
              is_text(first),
          "a request's id is fit for logs and headers");
}

} // namespace maru::fuzz
