#include "net/local_get.hpp"

#include <chrono>
#include <iterator>
#include <sstream>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

namespace maru::net {

local_reply local_get(const std::string& address, const std::string& path, const std::string& token) {
  constexpr auto patience = std::chrono::seconds(10);
  auto colon = address.rfind(':');
  if (colon == std::string::npos) return {};
  auto host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(patience);
  stream.connect(host, address.substr(colon + 1));
  stream << "GET " << path << " HTTP/1.0\r\nHost: " << address << "\r\nAuthorization: Bearer " << token
         << "\r\nConnection: close\r\n\r\n"
         << std::flush;
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  local_reply reply;
  std::string version;
  std::istringstream head(text);
  const auto body = text.find("\r\n\r\n");
  if (!(head >> version >> reply.status) || body == std::string::npos) return {};
  reply.body = text.substr(body + 4);
  return reply;
}

} // namespace maru::net
