#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/http_client.hpp"

namespace maru::tests {

// A synchronous WebSocket client over a POSIX socket, small enough to say wrong things on purpose.
// Pings of the server are answered while receiving, unless told otherwise.
class ws_client {
public:
  // Connects and upgrades; look at upgrade() for the outcome.
  explicit ws_client(const std::string& address, std::string_view target = "/ws", const headers& with = {},
                     std::string_view subprotocol = "maru.v1"); // "" offers none

  [[nodiscard]] const http_reply& upgrade() const { return upgrade_; }
  [[nodiscard]] bool open() const { return upgrade_.status == 101 && !closed_; }

  bool send(std::string_view text) { return send_frame(0x1, text); }
  bool send_frame(int opcode, std::string_view payload, bool fin = true);
  bool send_bytes(std::string_view wire) { return link_.send(wire); }
  static std::string wire(int opcode, std::string_view payload, bool fin = true, bool masked = true);

  // The next text message. Nothing: closed (see close_code) or the deadline has passed (see timed_out).
  std::optional<std::string> receive(std::chrono::milliseconds wait = patience);
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  // Reads on until the server has closed; messages on the way are dropped. 1006: without a close frame.
  std::uint16_t wait_closed(std::chrono::milliseconds wait = patience);
  [[nodiscard]] std::optional<std::uint16_t> close_code() const { return close_code_; }
  void close(std::uint16_t code = 1000); // sends the close frame; wait_closed() for the rest

  void answer_pings(bool yes) { answer_pings_ = yes; }
  [[nodiscard]] std::size_t pings() const { return pings_; }
  [[nodiscard]] std::size_t pongs() const { return pongs_; }
  tcp_link& link() { return link_; }

private:
  bool take_frame(std::optional<std::string>& message);
  void take_control(int opcode, std::string payload);

  tcp_link link_;
  http_reply upgrade_;
  std::string buffer_; // from start_ on: not yet read
  std::size_t start_ = 0;
  std::string partial_;
  std::optional<std::uint16_t> close_code_;
  std::size_t pings_ = 0;
  std::size_t pongs_ = 0;
  bool closed_ = false;
  bool close_sent_ = false;
  bool timed_out_ = false;
  bool answer_pings_ = true;
};

} // namespace maru::tests
