#include "net/http.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "config/limits.hpp"
#include "net/json_out.hpp"

namespace maru::net {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view s) {
  const auto from = s.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return s.substr(from, s.find_last_not_of(" \t") - from + 1);
}

} // namespace

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view next_part(std::string_view& list, char separator) {
  const auto part = list.substr(0, list.find(separator));
  list.remove_prefix(std::min(list.size(), part.size() + 1));
  return trimmed(part);
}

http_reply problem(const refusal& why) { return problem(why, info(why.why).http_status); }

http_reply problem(const refusal& why, int status) {
  const auto& known = info(why.why);
  http_reply out;
  out.status = status;
  out.type = "application/problem+json";
  object to{out.body};
  to.text("type", "about:blank").text("title", known.title);
  to.number("status", static_cast<std::uint64_t>(out.status));
  to.text("detail", why.detail.empty() ? known.title : std::string_view{why.detail});
  to.text("code", known.word);
  if (why.retry_after_ms > 0) to.number("retry_after_ms", why.retry_after_ms);
  to.end();
  if (out.status == 429 || out.status == 503) {
    const auto seconds =
        std::max<std::uint32_t>(1, why.retry_after_ms / 1000 + (why.retry_after_ms % 1000 > 0));
    out.headers.emplace_back("Retry-After", std::to_string(seconds));
  }
  if (out.status == 401) out.headers.emplace_back("WWW-Authenticate", "Bearer");
  return out;
}

http_reply json_reply(int status, std::string body) {
  http_reply out;
  out.status = status;
  out.type = "application/json";
  out.body = std::move(body);
  return out;
}

std::string bearer_token(std::string_view authorization) {
  const auto scheme = authorization.substr(0, authorization.find(' '));
  if (!same_word(scheme, "bearer")) return {};
  const auto token = trimmed(authorization.substr(scheme.size()));
  return token.size() <= limits::token_bytes ? std::string{token} : std::string{};
}

std::string cookie_value(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    const auto one = next_part(cookies, ';');
    const auto equals = one.find('=');
    if (equals == std::string_view::npos || one.substr(0, equals) != name) continue;
    const auto value = one.substr(equals + 1);
    return value.size() <= limits::token_bytes ? std::string{value} : std::string{};
  }
  return {};
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty())
    if (same_word(next_part(list, ','), token)) return true;
  return false;
}

std::string_view first_token(std::string_view list) { return next_part(list, ','); }

bool sane_request_id(std::string_view id) {
  const auto fine = [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_' || c == '.';
  };
  return !id.empty() && id.size() <= limits::request_id_chars && std::all_of(id.begin(), id.end(), fine);
}

std::string_view reason_phrase(int status) {
  switch (status) {
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 304:
    return "Not Modified";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 406:
    return "Not Acceptable";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 413:
    return "Content Too Large";
  case 417:
    return "Expectation Failed";
  case 426:
    return "Upgrade Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 503:
    return "Service Unavailable";
  default:
    return "Internal Server Error";
  }
}

std::string http_date(std::int64_t unix_ms) {
  using namespace std::chrono;
  constexpr std::string_view weekdays = "SunMonTueWedThuFriSat";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const sys_seconds at{floor<seconds>(milliseconds{unix_ms})};
  const auto day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{at - day};
  const auto weekday_at = weekday{day}.c_encoding() * 3;
  const auto month_at = (static_cast<unsigned>(date.month()) - 1) * 3;
  char out[64];
  const int size =
      std::snprintf(out, sizeof out, "%.3s, %02u %.3s %04d %02d:%02d:%02d GMT", weekdays.data() + weekday_at,
                    static_cast<unsigned>(date.day()), months.data() + month_at,
                    static_cast<int>(date.year()), static_cast<int>(time.hours().count()),
                    static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return {out, static_cast<std::size_t>(size)};
}

} // namespace maru::net
