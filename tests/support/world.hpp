#pragma once

// All actors of a node but accounts, in one thread and in virtual time, with devices that watch the protocol
// and a model that says what the test tells it. `restart` is a kill of the process and a new start on the
// same database.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "actors/supervisor.hpp"
#include "tests/support/actor_rig.hpp"
#include "tests/support/device.hpp"
#include "tests/support/gated_store.hpp"
#include "tests/support/scripted_model.hpp"

namespace maru::test {

class world {
public:
  // Agents: maru (model "restart"), second ("restart") and keeper (model "continue").
  explicit world(std::function<void(config::settings&)> change = {});
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  // People and places.
  uuid add_user(const std::string& name);
  uuid add_room(const std::vector<std::string>& agents = {"maru"});
  void add_member(const uuid& room, const uuid& user);
  void remove_member(const uuid& room, const uuid& user); // a room that runs does not know
  device& connect(const uuid& user, std::optional<uuid> session = {}, std::optional<uuid> family = {});
  device& connect() { return connect(ana); }
  // The same, but for the settling.
  device& dial(const uuid& user, std::optional<uuid> session = {}, std::optional<uuid> family = {});
  actors::api::reply call(const uuid& user, actors::api::request what); // by HTTP; settled
  actors::api::reply operate(actors::api::request what); // as the operator of the machine; settled
  device& watch(const uuid& room);                       // connected, and the room open from its first event
  uuid ana;                                              // owner of all rooms

  // Time and work.
  [[nodiscard]] actor_rig& rig() { return *rig_; }
  [[nodiscard]] std::filesystem::path database() const { return folder_ / "maru.db"; }
  void settle() { rig_->settle(); }
  void advance(std::int64_t ms) { rig_->advance(ms); }
  void restart();
  void restart_in_order(); // as by SIGTERM
  void stop_in_order();    // the first half of that
  // A kill in two halves: nothing runs in between. The second may throw what opening the database throws, and
  // can then be tried again.
  void fall();
  void rise();
  // What each process begins with, before anything of it runs; and each socket.
  std::function<void(actor_rig&)> new_process;
  std::function<void(device&)> new_device;
  [[nodiscard]] gated_store& store() { return *store_; }
  [[nodiscard]] scripted_model& model(const std::string& name = "restart") { return *models_.at(name); }
  [[nodiscard]] actors::services& services() { return now_; }
  [[nodiscard]] actors::shared_services shared() const {
    return std::make_shared<const actors::services>(now_);
  }
  std::optional<std::string> gave_up; // why the root did

  // Faults. The probe is asked at each named place of the actors and may throw.
  std::function<void(std::string_view place)> probe;
  // Throws at the `nth` time that `place` is reached from now on, once.
  void crash_at(const std::string& place, std::size_t nth = 1);
  void end_child(const std::string& name); // of the root, as an exception would
  // Of the nurseries, in the order in which they were started; some have ended since.
  std::vector<caf::actor_addr> started;
  // Throws whenever it is reached, until mend().
  void crash_always(const std::string& place);
  void mend() { probe = nullptr; }
  std::size_t crashes = 0; // thrown by the two above
  std::map<std::string, std::size_t, std::less<>> reached;
  // As of the store; survives restart().
  storage::fault_probe store_fault;

  // Looking.
  [[nodiscard]] std::vector<storage::event_row> events(const uuid& room);
  [[nodiscard]] std::vector<storage::event_row> ends(const uuid& room); // events that end an answer
  [[nodiscard]] std::optional<storage::answer_row> answer(const uuid& id);
  [[nodiscard]] std::vector<storage::mailbox_entry> entries(const uuid& room, const std::string& agent);
  [[nodiscard]] std::vector<storage::mailbox_entry> entries(const uuid& room); // of its own mailbox
  [[nodiscard]] std::vector<storage::dead_letter> dead();
  [[nodiscard]] std::uint32_t restarts(const std::string& child); // of the root's children
  [[nodiscard]] bool lives(const std::string& nursery, const std::string& child);
  [[nodiscard]] std::vector<std::string> violations() const; // of all devices
  template <class Handle, class... Name>
  Handle find(Name... name) {
    const auto found = rig_->ask_now<Handle>(now_.directory, name...);
    return found.value.value();
  }

  std::shared_ptr<metrics> counts = std::make_shared<metrics>(); // of all lives of the process
  [[nodiscard]] const actors::observer_actor& observer() const { return observer_; }
  [[nodiscard]] const actors::api_actor& api() const { return api_; }

  std::vector<std::unique_ptr<device>> devices;

private:
  void start();
  actors::api::reply call_as(std::string token, actors::api::request what);
  void commit(const uuid& owner, std::vector<storage::part> parts);
  template <class Fetch>
  auto look(Fetch fetch);
  std::vector<actors::child_spec> children();
  template <class Handle, class Spawn>
  void add_child(std::vector<actors::child_spec>& to, std::string name, Handle& where, Spawn spawn);
  template <class Start>
  void add_nursery(std::vector<actors::child_spec>& to, const std::string& name,
                   actors::nursery_actor actors::services::* where, Start start);

  std::filesystem::path folder_;
  std::function<void(config::settings&)> change_;
  std::map<std::string, std::shared_ptr<scripted_model>> models_;
  std::shared_ptr<const actors::frame_codec> codec_;
  std::mt19937_64 random_{1};
  std::unique_ptr<actor_rig> rig_;
  std::shared_ptr<gated_store> store_;
  actors::services now_;
  actors::api_actor api_;
  actors::observer_actor observer_;
  caf::strong_actor_ptr scheduler_;
  std::map<std::string, caf::actor_addr> root_children_;
  std::uint64_t next_connection_ = 1;

  // What the next process goes on with.
  struct left_over {
    std::int64_t unix_ms = 0;
    std::function<void(std::string_view)> probe;
    storage::fault_probe store_fault;
    std::function<std::size_t(std::size_t)> pick;
    std::optional<std::string> gave_up;
  };
  std::optional<left_over> left_;
};

// The end event that closes `answer`, as JSON with `kind`; null if there is none.
nlohmann::json end_of(world& in, const uuid& room, const uuid& answer);

// The ids in an ack's `answers`.
std::vector<uuid> answers_of(const nlohmann::json& ack);

} // namespace maru::test
