#pragma once

// A model behind a wire. Invariants:
// - `events.ended` is called exactly once per call that was not cancelled, and nothing after it.
// - After cancel() or destruction of the call nothing more is told, and the connection is closed at once.
// - No prompt, answer or key is ever logged.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"

namespace maru {
class loops;
}

namespace maru::llm {

enum class role : std::uint8_t { system, user, assistant };

struct turn {
  role who = role::user;
  std::string text;
};

struct request {
  std::string model;
  std::vector<turn> turns;
  std::string prefix;           // a partial answer to go on from; "" from the start
  std::uint32_t max_tokens = 0; // 0: the provider's own
};

struct usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  bool estimated = true; // the provider did not say
};

enum class fault : std::uint8_t {
  none,
  unreachable,  // refused, unresolved, TLS failed
  timed_out,    // connect, first piece or idle
  status,       // an HTTP status that is not 2xx
  not_a_stream, // a 2xx that is no event stream
  cut,          // closed in the middle, or ended without finish reason or [DONE]
  in_stream,    // the provider told of an error inside the stream
  too_large,    // a line or the answer beyond its bound
};

std::string_view word(fault f);

struct outcome {
  fault what = fault::none;
  std::string finish; // stop | length | content_filter | ... when what is none
  std::string model;  // as the provider names it
  llm::usage usage;
  int http_status = 0;
  std::string detail; // short, without secrets and without text of the conversation
  bool retryable = false;
  std::chrono::milliseconds retry_after{0};
};

struct events {
  std::function<void(std::vector<std::string>)>
      pieces; // non-empty pieces, whole UTF-8, in order; those of one read together
  std::function<void(outcome)> ended;
};

class call {
public:
  virtual ~call() = default; // cancels
  virtual void cancel() = 0; // from any thread
};

class provider {
public:
  virtual ~provider() = default;
  [[nodiscard]] virtual const config::provider_settings& options() const = 0;
  // From any thread; the events come on the loop of the call.
  virtual std::unique_ptr<call> start(request what, events tell) = 0;
};

// The loops and the TLS settings that outgoing calls share.
class network {
public:
  explicit network(unsigned threads); // of its own
  explicit network(loops& on);        // which outlive it
  ~network();                         // stops
  network(const network&) = delete;
  network& operator=(const network&) = delete;
  // Closes the calls that are under way: nothing is told of them any more.
  void stop();
  struct impl;
  [[nodiscard]] impl& inner() const { return *impl_; }

private:
  std::unique_ptr<impl> impl_;
};

// Throws std::invalid_argument with the field and what is allowed.
std::shared_ptr<provider> make_provider(const config::provider_settings& options, network& on);

// How long to wait before attempt `next` (2, 3, ...): 250 ms doubling to 10 s with jitter in [0.5, 1], or
// what the provider asked for, up to 60 s. `random` is in [0, 1).
std::chrono::milliseconds retry_delay(const config::provider_settings& options, std::uint32_t next,
                                      const outcome& last, double random);

// A cautious estimate that needs no vocabulary of the model's: see tokens.cpp.
std::uint64_t estimate_tokens(std::string_view text);

// The system prompt, then the newest turns that fit the budget, oldest first; the last one always goes.
std::vector<turn> within_budget(std::string_view system_prompt, std::vector<turn> newest_last,
                                std::uint64_t tokens);

// What a server without a configured model talks to, and one line that says so. Asks the environment, then a
// local Ollama (one connection attempt, at most 300 ms).
struct found_provider {
  config::provider_settings provider;
  std::string model;
  std::string line;
};
found_provider find_provider();

} // namespace maru::llm
