#include "tests/bench/wire.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace maru::bench {
namespace {

constexpr std::size_t scratch_bytes = 262'144;

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    ::close(fd);
    return -1;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval patience{30, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void append_frame(std::string& out, unsigned opcode, std::string_view payload) {
  out.push_back(static_cast<char>(0x80U | opcode));
  if (payload.size() < 126) {
    out.push_back(static_cast<char>(0x80U | payload.size()));
  } else {
    const std::size_t width = payload.size() <= 0xffff ? 2 : 8;
    out.push_back(static_cast<char>(0x80U | (width == 2 ? 126U : 127U)));
    for (auto i = width; i-- > 0;)
      out.push_back(static_cast<char>(payload.size() >> (8 * i)));
  }
  out.append(4, '\0'); // a mask of zeroes leaves the payload as it is
  out.append(payload);
}

} // namespace

std::int64_t now_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

// --- a connection --------------------------------------------------------------------------------------

link::~link() {
  if (fd_ >= 0) ::close(fd_);
}

bool link::upgrade(std::uint16_t port, const std::string& token) {
  fd_ = connect_to(port);
  if (fd_ < 0) return false;
  return write_all(fd_, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Protocol: maru.v1\r\nAuthorization: Bearer " +
                            token + "\r\n\r\n");
}

// What is in `in_` ends the upgrade: says hello, and leaves what came behind the reply.
bool link::greeted() {
  const auto end = in_.find("\r\n\r\n");
  if (end == std::string::npos || !in_.starts_with("HTTP/1.1 101")) return false;
  in_.erase(0, end + 4);
  send(R"({"type":"hello"})");
  flush();
  return true;
}

bool link::open(std::uint16_t port, const std::string& token, std::string& why) {
  why = "cannot connect";
  if (!upgrade(port, token)) return false;
  std::array<char, 4096> buffer;
  while (in_.find("\r\n\r\n") == std::string::npos) {
    const auto n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    why = "no reply to the upgrade";
    if (n <= 0) return false;
    in_.append(buffer.data(), static_cast<std::size_t>(n));
  }
  why = "refused: " + in_.substr(0, in_.find('\r'));
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  return greeted();
}

bool link::dial(std::uint16_t port, const std::string& token) {
  in_.clear();
  out_.clear();
  if (!upgrade(port, token)) return false;
  upgrading_ = true;
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  return true;
}

void link::stop_reading() {
  stopped_ = true;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd_, nullptr);
}

void link::sip(std::size_t bytes) {
  std::vector<char> cup(bytes);
  if (fd_ >= 0) receive(cup);
}

void link::read_on() {
  if (!std::exchange(stopped_, false) || fd_ < 0) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = this;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
}

void link::send(std::string_view text) {
  append_frame(out_, 0x1, text);
  if (to_flush_ == nullptr || dirty_) return;
  dirty_ = true;
  to_flush_->push_back(this);
}

void link::flush() {
  dirty_ = false;
  std::size_t sent = 0;
  while (fd_ >= 0 && sent < out_.size()) {
    const auto n = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break; // what is wrong is told by recv
    sent += static_cast<std::size_t>(n);
  }
  out_.erase(0, sent);
  if (epoll_ < 0 || fd_ < 0 || out_.empty() == !waits_to_write_) return;
  waits_to_write_ = !out_.empty();
  epoll_event event{};
  event.events = waits_to_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.ptr = this;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
}

void link::close(int code) {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  waits_to_write_ = stopped_ = upgrading_ = false;
  on_closed(code);
}

void link::receive(std::vector<char>& scratch) {
  const auto n = ::recv(fd_, scratch.data(), scratch.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return close(0);
  const std::string_view bytes(scratch.data(), static_cast<std::size_t>(n));
  if (upgrading_) {
    in_.append(bytes);
    if (in_.find("\r\n\r\n") == std::string::npos) return;
    upgrading_ = false;
    if (!greeted()) return close(0);
    in_.erase(0, take_frames(in_));
    return;
  }
  if (in_.empty()) {
    const auto used = take_frames(bytes);
    if (fd_ >= 0) in_ = bytes.substr(used);
    return;
  }
  in_.append(bytes);
  in_.erase(0, take_frames(in_));
}

// Returns how much is used up. The server never masks; it has no reason to divide a message.
std::size_t link::take_frames(std::string_view bytes) {
  std::size_t at = 0;
  while (fd_ >= 0 && bytes.size() - at >= 2) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
    const auto opcode = byte(0) & 0x0fU;
    std::size_t size = byte(1) & 0x7fU;
    const std::size_t width = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (bytes.size() - at < 2 + width) break;
    if (width > 0) size = 0;
    for (std::size_t i = 0; i < width; ++i)
      size = size << 8U | byte(2 + i);
    if (bytes.size() - at - 2 - width < size) break;
    const bool whole = (byte(0) & 0x80U) != 0;
    const auto payload = bytes.substr(at + 2 + width, size);
    at += 2 + width + size;
    if (opcode == 0x1 && whole) {
      on_text(payload);
    } else if (opcode == 0x9) {
      append_frame(out_, 0xa, payload);
      flush();
    } else if (opcode != 0xa) {
      const auto code = [&](std::size_t i) { return static_cast<unsigned char>(payload[i]); };
      close(opcode == 0x8 && payload.size() >= 2 ? code(0) << 8 | code(1) : 0);
    }
  }
  return at;
}

// --- the loop ------------------------------------------------------------------------------------------

loop::loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), scratch_(scratch_bytes) {
  if (epoll_ < 0) throw std::runtime_error("no epoll");
}

loop::~loop() { ::close(epoll_); }

void loop::add(link& one) {
  one.epoll_ = epoll_;
  one.to_flush_ = &to_flush_;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &one;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd_, &event);
  // The reply to the upgrade may have brought more than itself.
  if (!one.in_.empty() && !one.upgrading_) one.in_.erase(0, one.take_frames(one.in_));
}

void loop::flush_all() {
  for (std::size_t i = 0; i < to_flush_.size(); ++i)
    to_flush_[i]->flush();
  to_flush_.clear();
}

void loop::run(std::int64_t until_ns, const std::function<bool()>& enough) {
  constexpr std::int64_t ns_per_ms = 1'000'000;
  std::array<epoll_event, 512> events;
  for (;;) {
    const bool done = enough && enough(); // which may send
    flush_all();
    const auto left = until_ns - now_ns();
    if (left <= 0 || done) return;
    const auto wait = static_cast<int>(std::min<std::int64_t>(left / ns_per_ms + 1, 1000));
    const auto n = ::epoll_wait(epoll_, events.data(), events.size(), wait);
    for (int i = 0; i < n; ++i) {
      auto& event = events[static_cast<std::size_t>(i)];
      auto& one = *static_cast<link*>(event.data.ptr);
      if ((event.events & EPOLLOUT) != 0) one.flush();
      if (one.fd_ >= 0 && (event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) one.receive(scratch_);
    }
  }
}

void loop::run_for(double seconds, const std::function<bool()>& something) {
  constexpr std::int64_t patience_ns = 15'000'000'000;
  const auto end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
  run(end);
  run(end + patience_ns, something);
}

// --- reading what the server writes --------------------------------------------------------------------

std::string_view field(std::string_view frame, std::string_view quoted_name, std::size_t from) {
  for (auto at = frame.find(quoted_name, from); at != frame.npos; at = frame.find(quoted_name, at + 1)) {
    auto start = at + quoted_name.size();
    if (start >= frame.size() || frame[start] != ':') continue;
    ++start;
    if (frame[start] != '"') {
      const auto end = frame.find_first_of(",}]", start);
      return frame.substr(start, end - start);
    }
    auto end = start + 1;
    while (end < frame.size() && frame[end] != '"')
      end += frame[end] == '\\' ? 2 : 1;
    return frame.substr(start + 1, end - start - 1);
  }
  return {};
}

std::uint64_t number(std::string_view value) {
  std::uint64_t out = 0;
  std::from_chars(value.data(), value.data() + value.size(), out);
  return out;
}

bool has_type(std::string_view frame, std::string_view type) {
  constexpr std::string_view begin = R"({"type":")";
  return frame.starts_with(begin) && frame.substr(begin.size()).starts_with(type) &&
         frame.substr(begin.size() + type.size()).starts_with('"');
}

// --- HTTP ----------------------------------------------------------------------------------------------

http_client::~http_client() {
  if (fd_ >= 0) ::close(fd_);
}

bool http_client::send_request(const char* method, const std::string& path, const std::string& token,
                               const std::string& body) {
  if (fd_ < 0) fd_ = connect_to(port_);
  if (fd_ < 0) return false;
  in_.clear();
  std::string text =
      method + (" " + path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
  if (!token.empty()) text += "Authorization: Bearer " + token + "\r\n";
  return write_all(fd_, text + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

bool http_client::more() {
  std::array<char, 16'384> buffer;
  const auto n = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (n <= 0) return false;
  in_.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

http_reply http_client::ask(const char* method, const std::string& path, const std::string& token,
                            const std::string& body) {
  if (!send_request(method, path, token, body)) return {};
  auto end = std::string::npos;
  while ((end = in_.find("\r\n\r\n")) == std::string::npos)
    if (!more()) return {};
  constexpr std::string_view name = "\r\nContent-Length: ";
  const auto at = in_.find(name);
  const auto size = at == std::string::npos ? 0 : number(std::string_view(in_).substr(at + name.size(), 20));
  while (in_.size() < end + 4 + size)
    if (!more()) return {};
  const auto status = number(std::string_view(in_).substr(in_.find(' ') + 1, 3));
  return {static_cast<int>(status), in_.substr(end + 4, size)};
}

std::int64_t http_client::time_to(const std::string& path, const std::string& body, std::string_view mark) {
  if (fd_ < 0) fd_ = connect_to(port_);
  const auto start = now_ns();
  if (!send_request("POST", path, "", body)) return -1;
  while (in_.find(mark) == std::string::npos)
    if (!more()) return -1;
  return now_ns() - start;
}

} // namespace maru::bench
