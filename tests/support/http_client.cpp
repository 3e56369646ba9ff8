#include "tests/support/http_client.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <stdexcept>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace maru::tests {
namespace {

std::pair<std::string, std::string> split(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("no port in " + address);
  auto host = address.substr(0, colon);
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return {host, address.substr(colon + 1)};
}

int connected_to_file(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return fd;
  ::close(fd);
  throw std::runtime_error("cannot connect to " + path);
}

int connected(const std::string& address) {
  if (address.starts_with("unix:")) return connected_to_file(address.substr(5));
  const auto [host, port] = split(address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0)
    throw std::runtime_error("unknown address " + address);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, &freeaddrinfo};
  for (const auto* at = found; at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) continue;
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
      const int yes = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      return fd;
    }
    ::close(fd);
  }
  throw std::runtime_error("cannot connect to " + address);
}

std::string lower(std::string_view s) {
  std::string out{s};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

} // namespace

tcp_link::tcp_link(const std::string& address) : fd_(connected(address)) {}

tcp_link::~tcp_link() {
  if (fd_ >= 0) ::close(fd_);
}

tcp_link::tcp_link(tcp_link&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), timed_out_(other.timed_out_) {}

tcp_link& tcp_link::operator=(tcp_link&& other) noexcept {
  std::swap(fd_, other.fd_);
  timed_out_ = other.timed_out_;
  return *this;
}

bool tcp_link::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::size_t tcp_link::receive(std::string& to, std::chrono::milliseconds wait) {
  const auto until = std::chrono::steady_clock::now() + wait;
  timed_out_ = false;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      timed_out_ = true;
      return 0;
    }
    char chunk[65'536];
    const auto n = ::recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return 0;
    to.append(chunk, static_cast<std::size_t>(n));
    return static_cast<std::size_t>(n);
  }
}

void tcp_link::shut_sending() { ::shutdown(fd_, SHUT_WR); }

void tcp_link::cut() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(fd_, -1));
}

std::string http_reply::field(std::string_view name) const {
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return {};
}

bool http_reply::has(std::string_view name) const {
  return std::any_of(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; });
}

std::string http_text(std::string_view method, std::string_view target, const headers& with,
                      std::string_view body) {
  std::string out;
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  const auto given = [&](std::string_view name) {
    return std::any_of(with.begin(), with.end(), [&](const auto& f) { return lower(f.first) == name; });
  };
  if (!given("host")) out += "Host: maru.test\r\n";
  for (const auto& [key, value] : with)
    out.append(key).append(": ").append(value).append("\r\n");
  if (!given("content-length") && !given("transfer-encoding") && (!body.empty() || method == "POST"))
    out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  return out.append("\r\n").append(body);
}

http_reply parsed_head(std::string_view head) {
  http_reply out;
  auto end = head.find("\r\n");
  const auto line = head.substr(0, end);
  if (line.size() >= 12) std::from_chars(line.data() + 9, line.data() + 12, out.status);
  while (end != std::string_view::npos) {
    head.remove_prefix(end + 2);
    end = head.find("\r\n");
    const auto field = head.substr(0, end);
    const auto colon = field.find(':');
    if (colon != std::string_view::npos)
      out.fields.emplace_back(lower(field.substr(0, colon)), trimmed(field.substr(colon + 1)));
  }
  return out;
}

http_reply http_client::request(std::string_view method, std::string_view target, const headers& with,
                                std::string_view body) {
  // A server may refuse before it has read all: its reply counts, not the failed write.
  link_.send(http_text(method, target, with, body));
  return reply(method == "HEAD");
}

http_reply http_client::reply(bool to_head) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (link_.receive(buffer_) == 0) return {};
  auto out = parsed_head(std::string_view{buffer_}.substr(0, end));
  buffer_.erase(0, end + 4);
  std::size_t length = 0;
  const auto text = out.field("content-length");
  std::from_chars(text.data(), text.data() + text.size(), length);
  if (to_head || out.status < 200 || out.status == 204 || out.status == 304) return out;
  while (buffer_.size() < length)
    if (link_.receive(buffer_) == 0) return {};
  out.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return out;
}

bool http_client::closed_by_peer() {
  while (link_.receive(buffer_) != 0) {
  }
  return !link_.timed_out();
}

http_reply http_request(const std::string& address, std::string_view method, std::string_view target,
                        const headers& with, std::string_view body) {
  return http_client{address}.request(method, target, with, body);
}

} // namespace maru::tests
