#include "net/local_get.hpp"

#include <chrono>
#include <iterator>
#include <sstream>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace maru::net {

namespace {

constexpr std::string_view file_scheme = "unix:";

// The whole reply, or "".
template <class Stream>
std::string asked(Stream& stream, const std::string& path, const std::string& token) {
  stream << "GET " << path << " HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer " << token
         << "\r\nConnection: close\r\n\r\n"
         << std::flush;
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string asked_at(const std::string& address, const std::string& path, const std::string& token) {
  constexpr auto patience = std::chrono::seconds(10);
  if (address.starts_with(file_scheme)) {
    boost::asio::local::stream_protocol::iostream stream;
    stream.expires_after(patience);
    stream.connect(boost::asio::local::stream_protocol::endpoint{address.substr(file_scheme.size())});
    return asked(stream, path, token);
  }
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return {};
  auto host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(patience);
  stream.connect(host, address.substr(colon + 1));
  return asked(stream, path, token);
}

} // namespace

local_reply local_get(const std::string& address, const std::string& path, const std::string& token) {
  const auto text = asked_at(address, path, token);
  local_reply reply;
  std::string version;
  std::istringstream head(text);
  const auto body = text.find("\r\n\r\n");
  if (!(head >> version >> reply.status) || body == std::string::npos) return {};
  reply.body = text.substr(body + 4);
  return reply;
}

} // namespace maru::net
