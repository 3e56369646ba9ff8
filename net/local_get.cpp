#include "net/local_get.hpp"

#include <chrono>
#include <iterator>
#include <sstream>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "config/limits.hpp"

namespace maru::net {
namespace {

constexpr std::string_view file_scheme = "unix:";

std::string text_of(const local_request& what) {
  auto out = what.method + " " + what.path + " HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer " +
             what.token + "\r\nConnection: close\r\n";
  if (!what.body.empty())
    out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(what.body.size()) + "\r\n";
  return out + "\r\n" + what.body;
}

// The whole reply, or "": also when it is longer than any of ours.
template <class Stream>
std::string asked(Stream& stream, const local_request& what) {
  stream << text_of(what) << std::flush;
  std::string out;
  for (std::istreambuf_iterator<char> at(stream), end; at != end; ++at) {
    if (out.size() == limits::local_reply_bytes) return {};
    out.push_back(*at);
  }
  return out;
}

std::string asked_at(const std::string& address, const local_request& what) {
  constexpr auto patience = std::chrono::milliseconds(limits::local_patience_ms);
  if (address.starts_with(file_scheme)) {
    boost::asio::local::stream_protocol::iostream stream;
    stream.expires_after(patience);
    stream.connect(boost::asio::local::stream_protocol::endpoint{address.substr(file_scheme.size())});
    return asked(stream, what);
  }
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return {};
  auto host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(patience);
  stream.connect(host, address.substr(colon + 1));
  return asked(stream, what);
}

} // namespace

local_reply local_call(const std::string& address, const local_request& what) {
  const auto text = asked_at(address, what);
  local_reply reply;
  std::string version;
  std::istringstream head(text);
  const auto body = text.find("\r\n\r\n");
  if (!(head >> version >> reply.status) || body == std::string::npos) return {};
  reply.body = text.substr(body + 4);
  return reply;
}

} // namespace maru::net
