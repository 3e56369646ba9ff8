#pragma once

// Reads server-sent events as they come, over a POSIX socket.

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/support/http_client.hpp"

namespace maru::tests {

struct read_event {
  std::string id; // as of this event; "" none
  std::string data;

  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(data); }
};

class event_reader {
public:
  // Asks, and reads the head of the reply; of one that is no stream the body, too.
  event_reader(const std::string& address, const std::string& target, const headers& with,
               std::string_view version = "HTTP/1.1");

  [[nodiscard]] const http_reply& reply() const { return reply_; }
  [[nodiscard]] bool open() const { return reply_.status == 200; }

  // The next event with data. Nothing: the stream has ended or the deadline has passed.
  std::optional<read_event> next(std::chrono::milliseconds wait = patience);
  bool wait_comment(); // one more than there were; events on the way are dropped
  bool wait_end();     // drops what comes before
  [[nodiscard]] bool ended_in_order() const { return last_chunk_; }
  [[nodiscard]] const std::string& last_comment() const { return comment_; }
  [[nodiscard]] const std::string& retry() const { return retry_; }
  tcp_link& link() { return link_; }

private:
  bool more(std::chrono::milliseconds wait);
  void take_chunks();
  std::optional<read_event> take_block();

  tcp_link link_;
  http_reply reply_;
  bool chunked_ = false;
  bool last_chunk_ = false;
  std::string raw_;  // not yet unchunked
  std::string text_; // not yet parsed
  std::string comment_, retry_;
  std::size_t comments_ = 0;
};

// The path of a room's stream.
inline std::string stream_path(const std::string& room, const std::string& query = "") {
  return "/api/v1/rooms/" + room + "/stream" + (query.empty() ? "" : "?" + query);
}

} // namespace maru::tests
