#pragma once

// HTTP requests whose reply is told as it comes. Nothing of the library below shows here. Invariants:
// - A sink is told on one thread at a time: at most one head, then bodies, then at most one end.
// - After close(), or after a verdict of `settle` or `close`, the sink is told nothing more.
// - Every wait has a time limit.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "llm/provider.hpp"
#include "llm/url.hpp"

namespace maru::llm {
class core;
}

namespace maru::llm::wire {

struct times {
  std::uint32_t connect_ms = 0; // name, connection and TLS
  std::uint32_t first_ms = 0;   // from the request until the sink says `alive`
  std::uint32_t idle_ms = 0;    // from one `alive` to the next
};

struct head {
  int status = 0;
  std::string content_type;
  std::string retry_after;
};

enum class end : std::uint8_t {
  complete,  // the whole reply came
  closed,    // the connection ended before that
  malformed, // what came is no HTTP
  unreachable,
  timed_out,
};

enum class verdict : std::uint8_t {
  wait,   // go on; the time limit stays
  alive,  // go on; the idle time begins anew
  hurry,  // go on for limits::provider_last_words_ms at most
  settle, // nothing more is wanted, but the connection may be used again once the reply is over
  close,
};

class sink {
public:
  virtual ~sink() = default;
  virtual verdict on_head(const head& what) = 0;
  virtual verdict on_body(std::string_view bytes) = 0; // all that one read brought
  virtual void on_end(end how, std::string_view detail) = 0;
};

// The connections to one provider that wait for their next request.
class pool;

// Throws std::invalid_argument when `ca_file` cannot be read; "" means the system's certificates.
std::shared_ptr<pool> make_pool(network& on, const base_url& to, const std::string& ca_file,
                                std::size_t most_idle);

// Something under way; it stays alive by itself until it is over.
class running {
public:
  virtual ~running() = default;
  virtual void close() = 0; // from any thread
};

// `request` is the whole request as it goes over the wire.
std::shared_ptr<running> start(const std::shared_ptr<pool>& over, const times& limits, std::string request,
                               std::shared_ptr<sink> tell);

// What of the network its users may hold on to: it may outlive the network, and then starts nothing.
std::shared_ptr<core> core_of(network& on);

// Calls `step` after every `delay_ms` until it returns false.
std::shared_ptr<running> repeat(std::shared_ptr<core> on, std::uint32_t delay_ms, std::function<bool()> step);

} // namespace maru::llm::wire
