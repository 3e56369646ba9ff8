#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/codes.hpp"

// A request and a reply as the routes see them, whatever carried them.
namespace maru::net {

struct http_request {
  std::string method; // HEAD counts as GET here
  bool head = false;
  std::string target;
  std::string host, authorization, cookie, if_none_match, last_event_id;
  std::string accept_encoding, origin, fetch_site;
  bool asks_first = false; // a browser's question before the request
  std::string body;
  std::uint64_t from = 0;    // the address_key of the peer
  bool from_browser = false; // it named its origin
  bool from_here = false;    // from this machine, and through no proxy
};

struct http_reply {
  int status = 200;
  std::string type; // of the body; "" none
  std::string body;
  std::string_view file;               // instead of `body`: lives as long as the server
  bool sized = true;                   // false: a body without a length known now
  bool page = false;                   // of the browser client, with its headers
  std::string_view cache = "no-store"; // Cache-Control; a literal
  std::vector<std::pair<std::string, std::string>> headers;
};

http_reply problem(const refusal& why);
http_reply problem(const refusal& why, int status); // where HTTP has a better word than the table
http_reply json_reply(int status, std::string body);

// The token of `Authorization: Bearer`, or "".
std::string bearer_token(std::string_view authorization);
std::string cookie_value(std::string_view cookies, std::string_view name);
bool has_token(std::string_view list, std::string_view token); // comma-separated, case-insensitive
std::string_view first_token(std::string_view list);
bool same_word(std::string_view a, std::string_view b); // without case
// Takes the part before the next `separator` off the front of `list`.
std::string_view next_part(std::string_view& list, char separator);
bool sane_request_id(std::string_view id);

std::string_view reason_phrase(int status);
std::string http_date(std::int64_t unix_ms);

} // namespace maru::net
