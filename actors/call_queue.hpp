#pragma once

// Which model calls run and which wait; no actor, no clock. Invariants:
// - Of one provider, one agent and one person no more calls run than their bounds say.
// - Those that wait for a provider are let in by start-time fair queueing: each person has the same share,
//   however many questions they ask.
// - A provider that failed many times in a row rests; then one call tries it.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/call_wish.hpp"
#include "base/metrics.hpp"
#include "config/settings.hpp"

namespace maru::actors {

class call_queue {
public:
  call_queue(const config::settings& settings, std::shared_ptr<call_loads> loads,
             std::shared_ptr<metrics> counts);
  ~call_queue(); // what it counted as waiting is taken back
  call_queue(const call_queue&) = delete;
  call_queue& operator=(const call_queue&) = delete;

  struct news {
    std::vector<std::uint64_t> run;       // now
    std::vector<std::uint64_t> elsewhere; // gone from here: another provider is to be tried
  };
  // Numbers are the caller's, and grow.
  void add(std::uint64_t number, call_wish what);
  // What has changed: to be asked after anything else, and when `wake_at` has come.
  news next(std::int64_t now);
  // It ended, or nobody wants it any more, running or not.
  void remove(std::uint64_t number, std::int64_t now);
  // What it says of its provider; before it is removed.
  void judge(std::uint64_t number, call_health how, std::int64_t now);
  // It is the one that tries a resting provider.
  [[nodiscard]] bool tries(std::uint64_t number) const;
  // When a resting provider that is waited for may be tried.
  [[nodiscard]] std::optional<std::int64_t> wake_at(std::int64_t now) const;
  [[nodiscard]] bool any_wait() const;

  // The place of one that waits, from 1; 0: it does not.
  [[nodiscard]] std::uint32_t position(std::uint64_t number) const;
  // The first limits::positions_told of each provider whose place is another than when last told.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> moved();

private:
  struct call {
    call_wish what;
    std::uint64_t tag = 0;
    std::int64_t running_since = 0; // 0: waits
    std::uint32_t told = 0;         // its place
  };
  using key = std::pair<std::uint64_t, std::uint64_t>; // tag, number
  struct share {
    std::uint64_t next = 0;    // where the person's next one begins
    std::uint32_t waiting = 0; // of theirs
  };
  struct agent_line {
    call_load* load = nullptr;
    std::uint32_t most = 0, running = 0, waiting = 0;
  };
  struct line {
    const config::provider_settings* options = nullptr;
    call_load* load = nullptr;
    std::size_t at = 0; // in the metrics
    std::set<key> waiting;
    std::uint32_t running = 0;
    std::uint64_t now = 0; // the tag last let in
    std::map<uuid, share> shares;
    std::uint32_t failures = 0;   // in a row
    std::uint32_t rests = 0;      // in a row
    std::int64_t rests_until = 0; // 0: it does not
    std::uint64_t trying = 0;     // 0: none
    double call_ms = 0;           // how long a call takes, smoothed
  };

  [[nodiscard]] bool is_open(const line& of, std::int64_t now) const;
  [[nodiscard]] bool has_place(const call_wish& what) const;
  void let_in(line& of, std::int64_t now, news& to);
  [[nodiscard]] static bool is_full(const line& of);
  void send_away(line& of, const std::set<std::string>& recovered, news& to);
  void waits_no_more(line& of, const call& what);
  static void forget_shares(line& of);
  void start(line& of, std::uint64_t number, call& what, std::int64_t now);
  void rest(line& of, std::int64_t now);
  void recover(line& of);
  static void tell_load(line& of);

  std::map<std::string, line> lines_;
  std::map<std::uint64_t, call> calls_;
  std::map<uuid, std::uint32_t> users_;      // running
  std::map<std::string, agent_line> agents_; // those with a bound
  std::uint32_t user_most_;
  std::uint32_t suspects_ = 0;      // running
  std::set<std::string> recovered_; // providers that have, since next() was asked
  std::shared_ptr<call_loads> loads_;
  std::shared_ptr<metrics> counts_;
};

} // namespace maru::actors
