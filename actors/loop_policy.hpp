#pragma once

// Runs CAF's actors on the loops that serve the sockets: one worker drives one loop. A job stays on the loop
// where it came up, and another takes it only when much waits there. Private to node.cpp and its tests.

#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

// CAF's worker looks up the id of each job for a log that is compiled out.
#include <caf/logger.hpp>
static_assert(CAF_LOG_LEVEL == CAF_LOG_LEVEL_QUIET);
#pragma push_macro("CAF_PUSH_AID_FROM_PTR")
#undef CAF_PUSH_AID_FROM_PTR
#define CAF_PUSH_AID_FROM_PTR(job)
#include <caf/scheduler/coordinator.hpp>
#pragma pop_macro("CAF_PUSH_AID_FROM_PTR")

#include "base/loops.hpp"
#include "config/limits.hpp"

namespace maru::actors {

// An actor system whose workers are these loops.
struct loop_config : caf::actor_system_config {
  explicit loop_config(loops& on);
  loops& on;
};

// What waits to run, by loop.
class job_queues {
public:
  explicit job_queues(loops& on) : on_(on), queues_(on.count()) {}

  loops& on() { return on_; }

  void add(caf::resumable* job) { add(job, place_for(job)); }

  void add(caf::resumable* job, loop& to) {
    std::size_t waiting = 0;
    {
      auto& queue = queues_[to.index()];
      const std::lock_guard lock{queue.mutex};
      queue.jobs.push_back(job);
      waiting = queue.jobs.size();
    }
    if (&to != loop::here()) to.wake();
    if (waiting >= limits::loop_backlog) wake_another(to);
  }

  caf::resumable* take(std::size_t loop) { return take_if(loop, 1); }

  // From a loop where more waits than it may soon come to.
  caf::resumable* take_from_others(std::size_t loop) {
    for (std::size_t i = 1; i < queues_.size(); ++i)
      if (auto* job = take_if((loop + i) % queues_.size(), limits::loop_backlog)) return job;
    return nullptr;
  }

  bool nothing_for(std::size_t loop) {
    const std::lock_guard lock{queues_[loop].mutex};
    return queues_[loop].jobs.empty();
  }

private:
  struct queue {
    std::mutex mutex;
    std::deque<caf::resumable*> jobs;
  };

  bool is_ours(const loop* one) {
    return one != nullptr && one->index() < on_.count() && &on_[one->index()] == one;
  }

  loop& place_for(const caf::resumable* job) {
    if (const auto* here = loop::here(); is_ours(here)) return on_[here->index()];
    if (const auto* whom = on_behalf_of::whom(); is_ours(whom)) return on_[whom->index()];
    constexpr unsigned actor_alignment_bits = 6;
    return on_[(reinterpret_cast<std::uintptr_t>(job) >> actor_alignment_bits) % on_.count()];
  }

  caf::resumable* take_if(std::size_t loop, std::size_t at_least) {
    auto& from = queues_[loop];
    const std::lock_guard lock{from.mutex};
    if (from.jobs.size() < at_least) return nullptr;
    auto* job = from.jobs.front();
    from.jobs.pop_front();
    return job;
  }

  void wake_another(const loop& but) {
    for (std::size_t i = 1; i < on_.count(); ++i)
      if (auto& other = on_[(but.index() + i) % on_.count()]; other.asleep()) return other.wake();
  }

  loops& on_;
  std::vector<queue> queues_;
};

class loop_policy : public caf::policy::unprofiled {
public:
  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator* of)
        : jobs(dynamic_cast<const loop_config&>(of->system().config()).on) {}
    job_queues jobs;
  };
  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    d(self).jobs.add(job);
  }
  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    auto& jobs = d(self->parent()).jobs;
    jobs.add(job, jobs.on()[self->id()]);
  }
  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    d(self->parent()).jobs.add(job);
  }
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    d(self->parent()).jobs.add(job);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& jobs = d(self->parent()).jobs;
    const auto id = self->id();
    auto& mine = jobs.on()[id];
    if (loop::here() != &mine) mine.enter();
    while (true) {
      if (++in_a_row_ > limits::loop_jobs_in_a_row) {
        in_a_row_ = 0;
        mine.settle();
        mine.poll(limits::loop_handlers_in_a_row);
      }
      if (auto* job = jobs.take(id)) return begin(mine, job);
      in_a_row_ = 0;
      const bool settled = mine.settle();
      if (mine.poll(limits::loop_handlers_in_a_row) || settled) continue;
      if (auto* job = jobs.take_from_others(id)) return begin(mine, job);
      mine.sleep([&] { return jobs.nothing_for(id); });
    }
  }

  template <class Worker, class F>
  void foreach_resumable(Worker*, F) {}
  template <class Coordinator, class F>
  void foreach_central_resumable(Coordinator* self, F f) {
    auto& jobs = d(self).jobs;
    for (std::size_t i = 0; i < jobs.on().count(); ++i)
      while (auto* job = jobs.take(i))
        f(job);
  }

private:
  // Whoever watches the threads can name what one does not come back from.
  static caf::resumable* begin(loop& on, caf::resumable* job) {
    if (job->subtype() == caf::resumable::scheduled_actor) {
      const auto* actor = static_cast<caf::scheduled_actor*>(job);
      on.now_at({actor->name(), actor->id()});
    }
    return job;
  }

  std::size_t in_a_row_ = 0;
};

// Every actor that ends has its timeouts cancelled, which wakes the clock's thread. Ours set none: they send
// themselves messages, and no request has a bound. One that is set all the same keeps its actor in memory
// until then.
class clock_of_messages final : public caf::detail::thread_safe_actor_clock {
public:
  explicit clock_of_messages(caf::actor_clock& inner) : inner_(inner) {}

  void cancel_timeouts(caf::abstract_actor*) override {}

  void schedule_message(time_point at, caf::strong_actor_ptr to, caf::mailbox_element_ptr what) override {
    inner_.schedule_message(at, std::move(to), std::move(what));
  }
  void schedule_message(time_point at, caf::group to, caf::strong_actor_ptr from,
                        caf::message what) override {
    inner_.schedule_message(at, std::move(to), std::move(from), std::move(what));
  }
  void set_ordinary_timeout(time_point at, caf::abstract_actor* of, caf::atom_value type,
                            std::uint64_t id) override {
    inner_.set_ordinary_timeout(at, of, type, id);
  }
  void set_multi_timeout(time_point at, caf::abstract_actor* of, caf::atom_value type,
                         std::uint64_t id) override {
    inner_.set_multi_timeout(at, of, type, id);
  }
  void set_request_timeout(time_point at, caf::abstract_actor* of, caf::message_id id) override {
    inner_.set_request_timeout(at, of, id);
  }
  void cancel_ordinary_timeout(caf::abstract_actor* of, caf::atom_value type) override {
    inner_.cancel_ordinary_timeout(of, type);
  }
  void cancel_request_timeout(caf::abstract_actor* of, caf::message_id id) override {
    inner_.cancel_request_timeout(of, id);
  }
  void cancel_all() override { inner_.cancel_all(); }

private:
  caf::actor_clock& inner_;
};

class loop_coordinator final : public caf::scheduler::coordinator<loop_policy> {
public:
  using coordinator::coordinator;
  caf::detail::thread_safe_actor_clock& clock() noexcept override { return clock_; }
  static caf::actor_system::module* make(caf::actor_system& of, caf::detail::type_list<>) {
    return new loop_coordinator(of);
  }

private:
  clock_of_messages clock_{coordinator::clock()};
};

inline loop_config::loop_config(loops& on_) : on(on_) {
  load<loop_coordinator>();
  set("scheduler.max-throughput", limits::actor_messages_in_a_row);
  set("scheduler.max-threads", on.count());
}

} // namespace maru::actors
