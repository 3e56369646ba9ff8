#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maru::tests {

using headers = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::chrono::milliseconds patience{10'000}; // far more than any test needs

// A blocking TCP connection with a deadline on each read. Throws std::runtime_error when it cannot connect.
class tcp_link {
public:
  explicit tcp_link(const std::string& address); // host:port, [v6]:port or unix:/path
  ~tcp_link();
  tcp_link(tcp_link&& other) noexcept;
  tcp_link& operator=(tcp_link&& other) noexcept;

  bool send(std::string_view bytes); // all of it; false when the peer is gone
  // Appends what came to `to`. 0: closed by the peer or the deadline has passed (see timed_out).
  std::size_t receive(std::string& to, std::chrono::milliseconds wait = patience);
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  void shut_sending();
  void cut(); // closes with a reset
  [[nodiscard]] int fd() const { return fd_; }

private:
  int fd_ = -1;
  bool timed_out_ = false;
};

struct http_reply {
  int status = 0; // 0: no reply came
  headers fields; // names in lower case
  std::string body;

  [[nodiscard]] std::string field(std::string_view name) const; // "" when absent; `name` in lower case
  [[nodiscard]] bool has(std::string_view name) const;
};

// The head of a reply, without the empty line.
http_reply parsed_head(std::string_view head);

// A synchronous HTTP/1.1 client on one connection, that lets a test say anything.
class http_client {
public:
  explicit http_client(const std::string& address) : link_(address) {}

  http_reply request(std::string_view method, std::string_view target, const headers& with = {},
                     std::string_view body = {});
  bool send(std::string_view bytes) { return link_.send(bytes); }
  http_reply reply(bool to_head = false); // interim 1xx replies are returned, too
  bool closed_by_peer();                  // waits for it
  tcp_link& link() { return link_; }

private:
  tcp_link link_;
  std::string buffer_;
};

// The text of a request; Host and Content-Length are added.
std::string http_text(std::string_view method, std::string_view target, const headers& with = {},
                      std::string_view body = {});

// One request on a connection of its own.
http_reply http_request(const std::string& address, std::string_view method, std::string_view target,
                        const headers& with = {}, std::string_view body = {});

inline std::pair<std::string, std::string> bearer(const std::string& token) {
  return {"Authorization", "Bearer " + token};
}

} // namespace maru::tests
