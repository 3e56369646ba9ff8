#pragma once

// A model server on the loopback that does what a test tells it: answers piece by piece, stalls, cuts, lies.
// One thread, one epoll, one send per step: a bench may take 80,000 pieces a second from it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace maru::test {

struct fake_request {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers; // names in lower case
  nlohmann::json body;                        // null when it is not JSON
  std::uint64_t number = 0;                   // of all requests, from 0
  std::uint64_t on_connection = 0;            // of the requests of its connection, from 0

  [[nodiscard]] std::string question() const; // the last user message
  [[nodiscard]] std::string prefix() const;   // the partial answer after it, or ""
};

struct fake_step {
  std::uint32_t delay_ms = 0; // 0: in one write with the step before
  std::string bytes;
};

enum class fake_end : std::uint8_t {
  finish, // end the reply as HTTP wants it
  cut,    // close in the middle
  hang,   // stay silent with the connection open
  reset,  // close with RST
};

struct fake_script {
  int status = 200;
  std::vector<std::string> headers{"Content-Type: text/event-stream"};
  std::vector<fake_step> steps;
  // Instead of `steps`: fills in the step of the given index; false when there is none.
  std::function<bool(std::size_t, fake_step&)> generate;
  fake_end end = fake_end::finish;
  bool chunked = true; // otherwise the reply ends with the connection
  bool raw = false;    // the steps are all that is sent: no head, no chunks
};

using fake_behaviour = std::function<fake_script(const fake_request&)>; // called on the fake's thread

// What the fake answers by itself: `pieces` pieces, `delay_ms` apart.
fake_behaviour answers(std::size_t pieces, std::uint32_t delay_ms);
std::string expected_piece(std::string_view question, std::size_t index);
std::string expected_answer(std::string_view question, std::size_t pieces);

// Well-formed events of a stream.
std::string sse_data(std::string_view data);
std::string role_chunk();
std::string text_chunk(std::string_view text);
std::string finish_chunk(std::string_view reason = "stop");
std::string usage_chunk(std::uint64_t prompt, std::uint64_t completion);
std::string done_event();

struct fake_counts {
  std::uint64_t requests = 0;
  std::uint64_t connections = 0; // ever accepted
  std::uint64_t open = 0;
  std::uint64_t finished = 0;     // replies sent to their end
  std::uint64_t closed_early = 0; // connections that the client closed while a reply was under way
  std::uint64_t steps = 0;        // pieces and other steps sent
};

class fake_model {
public:
  explicit fake_model(fake_behaviour what, std::uint16_t port = 0);
  fake_model(std::size_t pieces, std::uint32_t delay_ms, std::uint16_t port = 0)
      : fake_model(answers(pieces, delay_ms), port) {}
  ~fake_model();
  fake_model(const fake_model&) = delete;
  fake_model& operator=(const fake_model&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string url() const; // "http://127.0.0.1:PORT/v1"

  void behave(fake_behaviour what); // from the next request on
  [[nodiscard]] fake_counts counts() const;
  // Waits until the counts are as wanted; false when that takes more than 10 s.
  bool wait(const std::function<bool(const fake_counts&)>& wanted) const;
  [[nodiscard]] std::vector<fake_request> requests() const; // the last 100

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace maru::test
