#pragma once

// The inside of a run, for simulation.cpp and acts.cpp.

#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "tests/simulator/disk.hpp"
#include "tests/simulator/simulation.hpp"
#include "tests/simulator/told.hpp"
#include "tests/support/faithful_client.hpp"

namespace maru::test {

// Thrown where the process cannot go on: it has been killed, or its disk failed.
struct process_ended {};

class simulation {
public:
  explicit simulation(const plan& what);
  ~simulation();
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;

  verdict go();

private:
  // simulation.cpp: the run
  void set_up();
  void old_database();
  enum class ending : std::uint8_t { kill, power_cut, in_order };
  void begin_anew(ending how);
  void begin_in_the_end(ending how);
  bool begins(ending how);
  ending any_ending() { return chance(50) ? ending::power_cut : ending::kill; }
  void old_steps_come_late(const std::vector<storage::step>& held);
  void step(std::size_t number);
  void some_work();
  void network();
  void come_to_an_end();
  bool rest();
  void let_schedules_come();
  void check_scheduled();
  void leave_nothing();
  void adopt(actor_rig& rig);
  void adopt(device& d);
  [[nodiscard]] bool broken() const;
  void collect();
  void note(const std::string& line);
  void met(const std::string& what) { ++out_.met[what]; }

  // acts.cpp: what may happen
  void act();
  void post();
  void post_much();
  void stop();
  void retry();
  void schedule();
  void resend();
  void come_and_go();
  void speak();
  void fail(model_stream& call);
  void pass_time();
  void hold();
  void crash();
  void kill_actor();
  void fail_store();
  void fail_disk();
  void end_process();
  void end_root_child();

  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random_() % n); }
  bool chance(std::size_t in_hundred) { return below(100) < in_hundred; }
  template <class List>
  auto& any(List& of) {
    return of[below(of.size())];
  }
  void seed(std::uint64_t stream);
  simulated_disk& fresh_disk();
  std::optional<std::pair<uuid, uuid>> any_answer(const faithful_client& of);

  const plan& plan_;
  verdict out_;
  std::mt19937_64 random_; // of the step at hand
  simulated_disk& disk_;   // before the world, which opens a database
  world w_;
  told_facts told_{w_, disk_};
  std::vector<uuid> rooms_;
  std::vector<std::unique_ptr<faithful_client>> people_;
  std::vector<faithful_client*> clients_;
  std::set<const device*> stalled_;
  struct scheduled_wish {
    uuid room;
    std::optional<uuid> made;                 // nothing: not heard of
    bool drop_asked = false, dropped = false; // asked, and told that it is
  };
  std::vector<std::shared_ptr<scheduled_wish>> scheduled_;
  std::size_t steps_wanted_ = 0, messages_ = 0, pieces_ = 0, ends_ = 0, root_ends_ = 0, calls_ = 0;
  std::map<const model_stream*, std::size_t> number_of_; // of calls
  bool fatal_ = false;                                   // the store said so
  bool going_down_ = false;                              // what the process does now is lost
  bool quiet_ = false;                                   // no faults any more
  bool quiet_opening_ = false;                           // none while it opens
};

} // namespace maru::test
