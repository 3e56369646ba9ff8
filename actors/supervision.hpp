#pragma once

// How a supervisor judges its children: how often they may fall, and when one that lives counts as stuck.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "actors/messages.hpp"
#include "actors/restart_history.hpp"
#include "config/settings.hpp"
#include "storage/store.hpp"

namespace maru::actors {

struct supervision {
  restart_policy one;                       // of each child
  config::intensity subtree;                // of a nursery: of different children
  std::uint32_t stuck_ms = 0;               // 0: nobody is replaced for being stuck
  std::function<storage::counters()> store; // empty: it always answers
};

// Of a nursery, by its name; otherwise of the root.
supervision supervision_of(const config::settings& settings, std::string_view subtree,
                           std::function<storage::counters()> store = {});

// Whether the store gets on with what it was given. While it does not, nobody is to blame who waits for it.
class store_watch {
public:
  void look(const std::function<storage::counters()>& count);
  [[nodiscard]] bool is_well() const { return looks_in_vain_ == 0; }
  [[nodiscard]] std::uint32_t looks_in_vain() const { return looks_in_vain_; }

private:
  storage::counters before_;
  std::uint32_t looks_in_vain_ = 0;
};

// Whether a child answers, and whether its work goes on. It counts looks in vain and no time: a machine that
// slept, or that gave the process no turn, has missed one look.
class child_watch {
public:
  // Sends a probe, or notes that the last one is not answered. Why the child is stuck, if it is.
  template <class Send>
  std::optional<std::string> look(std::int64_t now, std::uint32_t most, Send send) {
    if (probed_at_ > 0) return ++unanswered_ == most ? std::optional(silence(now)) : std::nullopt;
    probed_at_ = now;
    unanswered_ = 0;
    send();
    return std::nullopt;
  }
  std::optional<std::string> answered(std::int64_t now, const probe_answer& what, std::uint32_t most,
                                      bool store_is_well);
  void tell(child_health& to, std::int64_t now) const;

private:
  [[nodiscard]] std::string silence(std::int64_t now) const;

  std::int64_t probed_at_ = 0; // 0: none is under way
  std::int64_t waited_ms_ = 0; // that the last one took
  std::int64_t piece_since_ = 0;
  work_wait work_;
  std::uint64_t messages_ = 0;
  std::uint32_t unanswered_ = 0, unmoved_ = 0; // looks
};

} // namespace maru::actors
