#include "net/url.hpp"

#include <algorithm>

#include "config/limits.hpp"
#include "net/decode.hpp"
#include "tests/fuzz/input.hpp"

// The target of a request: what comes out of it stays inside its folder, whoever reads it and however it was
// written, and queries give numbers within their bounds.
namespace maru::fuzz {
namespace {

std::string encoded(std::string_view s, std::string_view kept) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : s) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (kept.find(c) != kept.npos)
      out.push_back(c);
    else
      out.append({'%', digits[byte >> 4U], digits[byte & 15U]});
  }
  return out;
}

std::string written(const net::target& what) {
  auto out = encoded(what.path, "/abcdefghijklmnopqrstuvwxyz");
  char before = '?';
  for (const auto& [name, value] : what.query) {
    out.push_back(before);
    out.append(encoded(name, "")).append("=").append(encoded(value, ""));
    before = '&';
  }
  return out;
}

void stays_inside(std::string_view path, std::string_view given) {
  holds(path.starts_with('/') && is_text(path), "a path begins with / and is text");
  holds(path.find_first_of("%\\") == path.npos, "nothing is left to decode, nothing is a / to others");
  given = given.substr(0, given.find('?'));
  if (given.starts_with("http")) given.remove_prefix(given.find("://") + 3);
  given.remove_prefix(std::min(given.find('/'), given.size()));
  holds(std::count(path.begin(), path.end(), '/') == std::count(given.begin(), given.end(), '/'),
        "no separator was hidden");
  const auto closed = std::string{path} + "/";
  holds(closed.find("/../") == closed.npos && closed.find("/./") == closed.npos, "there are no dot segments");
}

void check_queries(const net::target& from) {
  if (const auto got = net::decode_get_events({}, from)) {
    holds(got->limit >= 1 && got->limit <= limits::events_page, "a page of events is bounded");
    holds(!got->after || !got->before, "after and before exclude each other");
    if (got->after) holds(from.find("after") != nullptr, "after is what was given");
  }
  if (const auto got = net::decode_list_rooms(from)) {
    holds(got->limit >= 1 && got->limit <= limits::rooms_page, "a page of rooms is bounded");
    holds(!got->cursor || got->cursor->size() <= limits::cursor_chars, "a cursor is short");
  }
  if (const auto got = net::decode_list_users(from))
    holds(got->limit >= 1 && got->limit <= limits::users_page, "a page of users is bounded");
  const auto* after = from.find("after");
  const auto stream = net::decode_get_stream({}, from, "7");
  if (stream) holds(stream->after == 7U, "Last-Event-ID wins");
  if (after == nullptr) holds(stream && *stream->after == 7U, "and needs no after");
  const auto bare = net::decode_get_stream({}, from, "");
  if (bare && after != nullptr) {
    const auto digits = after->find_first_not_of('0');
    holds(std::to_string(*bare->after) == (digits == after->npos ? "0" : after->substr(digits)),
          "a number is the one that was written");
  }
}

} // namespace

void one_input(std::string_view bytes) {
  const auto got = net::parse_target(bytes);
  if (!got) return;
  stays_inside(got->path, bytes);
  for (const auto& [name, value] : got->query)
    holds(is_text(name) && is_text(value), "a query is text");
  const auto again = net::parse_target(written(*got));
  holds(again && again->path == got->path && again->query == got->query, "what was read can be written");
  check_queries(*got);
}

} // namespace maru::fuzz
