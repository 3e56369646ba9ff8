#include "net/http_message.hpp"

#include <boost/beast/core/string.hpp>

namespace maru::net {

namespace http = boost::beast::http;

std::string_view field(const request_message& from, http::field name) { return view(from[name]); }

bool is_ambiguous(const request_message& request) {
  const auto codings = request.count(http::field::transfer_encoding);
  if (codings > 1 ||
      (codings == 1 && (request.version() < 11 ||
                        !boost::beast::iequals(request[http::field::transfer_encoding], "chunked"))))
    return true;
  return request.version() >= 11 && request.count(http::field::host) != 1;
}

bool wants_websocket(const request_message& request) {
  return request.method() == http::verb::get && request.version() >= 11 &&
         has_token(field(request, http::field::connection), "upgrade") &&
         has_token(field(request, http::field::upgrade), "websocket");
}

bool is_handshake(const request_message& request) {
  constexpr std::size_t key_chars = 24; // 16 bytes in base64
  return field(request, http::field::sec_websocket_version) == "13" &&
         field(request, http::field::sec_websocket_key).size() == key_chars;
}

bool came_through_proxy(const request_message& request) {
  for (const auto* name :
       {"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via"})
    if (request.find(name) != request.end()) return true;
  return false;
}

http_request seen(const request_message& request, std::uint64_t from) {
  http_request out;
  out.head = request.method() == http::verb::head;
  out.method = out.head ? "GET" : std::string{view(request.method_string())};
  out.target = view(request.target());
  out.host = field(request, http::field::host);
  out.authorization = field(request, http::field::authorization);
  out.cookie = field(request, http::field::cookie);
  out.if_none_match = field(request, http::field::if_none_match);
  out.last_event_id = view(request["Last-Event-ID"]);
  out.accept_encoding = field(request, http::field::accept_encoding);
  out.origin = field(request, http::field::origin);
  out.fetch_site = view(request["Sec-Fetch-Site"]);
  out.asks_first = request.find(http::field::access_control_request_method) != request.end();
  out.from = from;
  out.from_browser =
      request.find(http::field::origin) != request.end() || request.find("Sec-Fetch-Mode") != request.end();
  return out;
}

std::string head_of(const http_reply& reply, const head_facts& facts) {
  std::string out;
  out.append("HTTP/1.1 ")
      .append(std::to_string(reply.status))
      .append(" ")
      .append(reason_phrase(reply.status));
  const auto add = [&](std::string_view name, std::string_view value) {
    out.append("\r\n").append(name).append(": ").append(value);
  };
  add("Date", http_date(facts.unix_ms));
  add("X-Request-Id", facts.request_id);
  if (!reply.type.empty()) add("Content-Type", reply.type);
  const auto size = reply.file.empty() ? reply.body.size() : reply.file.size();
  if (!reply.sized && !facts.old_http) add("Transfer-Encoding", "chunked");
  if (reply.sized && reply.status != 204 && reply.status != 304) add("Content-Length", std::to_string(size));
  add("Cache-Control", reply.cache);
  out.append(facts.standing);
  if (!facts.keep_alive) add("Connection", "close");
  if (facts.keep_alive && facts.old_http) add("Connection", "keep-alive");
  for (const auto& [name, value] : reply.headers)
    add(name, value);
  return out.append("\r\n\r\n");
}

} // namespace maru::net
