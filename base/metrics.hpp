#pragma once

// What maru counts, for Prometheus. Every metric stands once in the table of metric_table.cpp. Invariants:
// - The label values of a metric are fixed when it is made, and none comes from a user.
// - Counting is an atomic add: no lock, no search.
// What can be read on demand is not kept here: render() is given it as readings.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maru {

enum class metric : std::uint8_t {
  build_info,
  process_cpu_seconds,
  process_resident_bytes,
  process_open_fds,
  process_max_fds,
  process_start_time,

  actors,
  actor_restarts, // actor, reason
  actor_mailbox_wait,
  actor_mailbox_messages,

  mailbox_entries,
  mailbox_oldest_due,
  mailbox_enqueued, // mailbox_kind, as those above and the next two
  mailbox_handled,
  mailbox_postponed,
  mailbox_failures,
  mailbox_losses,
  mailbox_dead_letters,
  mailbox_buried, // mailbox_kind, reason

  store_steps,
  store_refused, // storage::failure
  store_group_steps,
  store_step_seconds,
  store_group_seconds,
  store_commit_seconds,
  store_waiting_steps,
  store_waiting_bytes,
  store_waiting_reads,
  store_read_seconds,
  store_reads_failed,
  store_writes_fail,
  store_database_bytes,
  store_log_bytes,
  store_disk_free_bytes,

  connections,
  connections_accepted,
  accept_failures,
  websockets_closed, // as metrics::at() finds it
  frames_received,   // frame_type
  frames_sent,
  received_bytes, // connection_kind
  sent_bytes,     // connection_kind
  outbox_bytes,
  outbox_largest_bytes,
  commands_refused,     // code
  http_requests,        // route, status class from 1xx on
  http_request_seconds, // route
  http_rate_limited,

  answers, // as metrics::at() finds it
  answers_unfinished,
  answer_first_piece_seconds,
  answer_seconds,
  answer_tokens, // token_kind
  answer_pieces,
  answer_retries,
  answer_fallbacks,
  provider_calls, // provider, llm::fault and then cancelled
  provider_calls_running,
  provider_calls_waiting,
  provider_rests,
  provider_first_piece_seconds,
  provider_call_seconds,

  password_jobs_waiting,
};
inline constexpr std::size_t metric_count = static_cast<std::size_t>(metric::password_jobs_waiting) + 1;

// In the order of their label values.
enum class connection_kind : std::uint8_t { http, ws, sse };
enum class frame_type : std::uint8_t { refused, hello, ping, open, close, send, stop, retry };
enum class token_kind : std::uint8_t { prompt, completion };

enum class metric_type : std::uint8_t { counter, gauge, histogram };

struct metric_label {
  std::string name;
  std::vector<std::string> values;
};

struct metric_declaration {
  metric what;
  std::string name, help;
  metric_type type = metric_type::counter;
  bool read = false; // its values come with the readings
  std::vector<metric_label> labels;
  std::span<const double> buckets; // upper bounds of a histogram, ascending
};

// What only this process knows: names from the configuration and from net/.
struct metric_names {
  std::string version;
  std::vector<std::string> providers;
  std::vector<std::string> routes;
};

// The whole table, in the order of `metric`.
std::vector<metric_declaration> metric_table(const metric_names& names);

// A value found when it was asked for; `at` as in metrics::add.
struct reading {
  metric what;
  double value = 0;
  std::size_t at = 0;
};

// Thread-safe.
class metrics {
public:
  explicit metrics(const metric_names& names = {});
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;

  void add(metric what, std::uint64_t n = 1) { add_at(what, 0, n); }
  // `at`: the place of the label value in the table.
  void add_at(metric what, std::size_t at, std::uint64_t n = 1);
  void take_at(metric what, std::size_t at, std::uint64_t n = 1); // less, of a gauge
  void observe(metric what, double value) { observe_at(what, 0, value); }
  void observe_at(metric what, std::size_t at, double value);

  // Of two labels.
  [[nodiscard]] std::size_t place(metric what, std::size_t first, std::size_t second) const;
  // By a search, for what is rare; the last value, which is the one for all others, where there is no such.
  [[nodiscard]] std::size_t at(metric what, std::string_view value, std::size_t label = 0) const;

  [[nodiscard]] const std::vector<metric_declaration>& table() const { return table_; }
  // A counter's, or how often a histogram observed; for tests.
  [[nodiscard]] std::uint64_t value(metric what, std::size_t at = 0) const;
  // The text format of Prometheus, 0.0.4.
  [[nodiscard]] std::string render(std::span<const reading> readings) const;

private:
  struct alignas(64) slot { // a cache line each: threads that count different things do not meet
    std::atomic<std::uint64_t> n{0};
  };
  struct place_of {
    std::size_t first = 0, series = 1, width = 1; // slots: series * width
  };

  [[nodiscard]] const place_of& where(metric what) const { return places_[static_cast<std::size_t>(what)]; }
  [[nodiscard]] std::uint64_t slot_value(std::size_t i) const {
    return slots_[i].n.load(std::memory_order_relaxed);
  }

  std::string version_;
  std::vector<metric_declaration> table_;
  std::vector<place_of> places_;
  std::unique_ptr<slot[]> slots_;
};

// How long something took, in real time: for measuring alone, nothing may be decided by it.
class stopwatch {
public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

} // namespace maru
