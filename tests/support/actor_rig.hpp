#pragma once

// Actors in one thread, in virtual time, over a store that moves only when it is pumped: each run is the
// same.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include "actors/services.hpp"

namespace maru::test {

class manual_clock final : public maru::clock {
public:
  [[nodiscard]] std::int64_t unix_ms() const override { return unix_; }
  [[nodiscard]] std::int64_t steady_ms() const override { return steady_; }
  void advance(std::int64_t ms) {
    unix_ += ms;
    steady_ += ms;
  }

private:
  std::int64_t unix_ = 1'750'000'000'000;
  std::int64_t steady_ = 1'000'000;
};

// What came back of a request.
template <class R>
struct reply_of {
  std::optional<R> value;
  caf::error error; // when there is no value and `came`
  bool came = false;
};

class actor_rig {
public:
  // A folder that was given stays: another rig may open the same database.
  explicit actor_rig(std::filesystem::path folder = {});
  ~actor_rig(); // kills what was given to `own`
  actor_rig(const actor_rig&) = delete;
  actor_rig& operator=(const actor_rig&) = delete;

  [[nodiscard]] caf::actor_system& system() { return *system_; }
  [[nodiscard]] caf::scheduler::test_coordinator& jobs() { return *jobs_; }
  [[nodiscard]] manual_clock& time() { return time_; }
  [[nodiscard]] storage::store& db() { return *db_; }
  [[nodiscard]] const std::shared_ptr<storage::store>& shared_db() const { return db_; }

  // Settings, clock, store with its actor, random numbers that are always 0.5. The rest is empty.
  [[nodiscard]] actors::services make_services();
  config::settings settings; // read by make_services()

  // Asked before each operation of the store; see storage::fault_probe.
  storage::fault_probe fault;
  std::function<void(std::string)> on_fatal; // of the store

  // Which of so many waiting actors goes on; empty: the first.
  std::function<std::size_t(std::size_t waiting)> pick;

  bool run_one();                // handles one message
  std::size_t run();             // jobs of actors until none is left
  std::size_t settle();          // the same, and the store, and every further pump
  void advance(std::int64_t ms); // both clocks, in steps, settling at each
  void also_pump(std::function<std::size_t()> pump) { pumps_.push_back(std::move(pump)); }

  // The handle's actor ends with the rig at the latest.
  template <class Handle>
  Handle own(Handle h) {
    owned_.push_back(caf::actor_cast<caf::actor_addr>(h));
    return h;
  }
  // Ends it now, as an exception would, or in order.
  template <class Handle>
  void end(const Handle& h, caf::exit_reason why) {
    caf::anon_send_exit(h, why);
    settle();
  }

  // Sends a request; look at the result after settle().
  template <class R, class Handle, class... Args>
  std::shared_ptr<reply_of<R>> ask(const Handle& to, Args... args) {
    auto out = std::make_shared<reply_of<R>>();
    // With an argument: CAF reads a null pointer where there is none, which a checking library does not
    // allow.
    const auto asker = [out, to, args...](caf::event_based_actor* self, int) {
      self->request(to, caf::infinite, args...)
          .then(
              [out](const R& value) {
                out->value = value;
                out->came = true;
              },
              [out](const caf::error& why) {
                out->error = why;
                out->came = true;
              });
    };
    system_->spawn(asker, 0);
    return out;
  }
  // The same, settled.
  template <class R, class Handle, class... Args>
  reply_of<R> ask_now(const Handle& to, Args... args) {
    auto out = ask<R>(to, std::move(args)...);
    settle();
    return *out;
  }

  // Reads from the store, now.
  template <class Fetch>
  auto read(Fetch fetch) {
    std::optional<std::invoke_result_t<Fetch, storage::reader&>> out;
    db_->read([&](storage::reader& from) { out = fetch(from); }, [](const std::string&) {});
    settle();
    return out;
  }

private:
  struct config_of_tests;

  std::filesystem::path folder_;
  bool folder_stays_ = false, ending_ = false;
  manual_clock time_;
  std::shared_ptr<storage::store> db_;
  std::uint64_t epoch_ = 0;
  std::unique_ptr<config_of_tests> config_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* jobs_ = nullptr;
  std::vector<std::function<std::size_t()>> pumps_;
  std::vector<caf::actor_addr> owned_;
};

} // namespace maru::test
