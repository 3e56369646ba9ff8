#pragma once

// Between Beast's messages and ours. Private to net/.

#include <string>
#include <string_view>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/http.hpp"

namespace maru::net {

using request_message = boost::beast::http::request<boost::beast::http::string_body>;

inline std::string_view view(boost::string_view s) { return {s.data(), s.size()}; }
std::string_view field(const request_message& from, boost::beast::http::field name);

// What a proxy in front may take for another request than we do.
bool is_ambiguous(const request_message& request);
bool wants_websocket(const request_message& request);
bool is_handshake(const request_message& request);
// What a proxy adds; without a word of one, the peer is who asks.
bool came_through_proxy(const request_message& request);

// Without the body.
http_request seen(const request_message& request, std::uint64_t from);

// What of a reply's head the connection knows.
struct head_facts {
  std::int64_t unix_ms = 0;
  const std::string& request_id;
  bool old_http = false; // 1.0
  bool keep_alive = true;
  std::string_view standing; // headers that every reply has
};
std::string head_of(const http_reply& reply, const head_facts& facts);

} // namespace maru::net
