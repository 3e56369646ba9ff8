#include "tests/support/actor_rig.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <caf/atom.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/store.hpp"

namespace maru::test {

struct actor_rig::config_of_tests : caf::actor_system_config {
  config_of_tests() {
    set("scheduler.policy", caf::atom("testing"));
    set("logger.file-verbosity", caf::atom("quiet"));
    set("logger.console-verbosity", caf::atom("quiet"));
  }
};

namespace {

constexpr std::size_t messages_most = 3'000'000; // between two moves of the clock

std::filesystem::path new_folder() {
  auto name = (std::filesystem::temp_directory_path() / "maru-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{"no temporary folder"};
  return name;
}

} // namespace

actor_rig::actor_rig(std::filesystem::path folder)
    : folder_(folder.empty() ? new_folder() : folder), folder_stays_(!folder.empty()) {
  storage::open_options options;
  options.url = "sqlite:" + (folder_ / "maru.db").string();
  options.threads = storage::threading::manual;
  options.probe = [this](std::string_view operation) {
    return fault ? fault(operation) : storage::failure::none;
  };
  options.on_fatal = [this](std::string why) {
    if (on_fatal) on_fatal(std::move(why));
  };
  db_ = storage::open(std::move(options));
  epoch_ = db_->claim_shards("test");
  config_ = std::make_unique<config_of_tests>();
  system_ = std::make_unique<caf::actor_system>(*config_);
  jobs_ = &dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
}

actor_rig::~actor_rig() {
  ending_ = true;
  fault = nullptr;
  on_fatal = nullptr;
  for (const auto& who : owned_)
    if (auto handle = caf::actor_cast<caf::strong_actor_ptr>(who))
      caf::anon_send_exit(handle, caf::exit_reason::kill);
  settle();
  jobs_->trigger_timeouts(); // what waits for its time holds its actor
  settle();
  system_->await_actors_before_shutdown(false);
  system_.reset();
  db_.reset();
  if (folder_stays_) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

actors::services actor_rig::make_services() {
  actors::services svc;
  svc.counts = std::make_shared<metrics>();
  svc.loads = std::make_shared<actors::call_loads>();
  svc.settings = std::make_shared<const config::settings>(settings);
  svc.time = &time_;
  svc.db = db_;
  svc.random = [] { return 0.5; };
  svc.epoch = epoch_;
  svc.store = own(system_->spawn(actors::store, std::make_shared<const actors::services>(svc)));
  return svc;
}

bool actor_rig::run_one() {
  auto& waiting = jobs_->jobs;
  if (pick && waiting.size() > 1) std::swap(waiting.front(), waiting[pick(waiting.size()) % waiting.size()]);
  return jobs_->try_run_once();
}

std::size_t actor_rig::run() {
  if (!pick) return jobs_->run(messages_most);
  std::size_t ran = 0;
  while (ran < messages_most && run_one())
    ++ran;
  return ran;
}

std::size_t actor_rig::settle() {
  std::size_t all = 0;
  for (std::size_t moved = 1; moved > 0; all += moved) {
    moved = run() + storage::pump(*db_);
    for (const auto& pump : pumps_)
      moved += pump();
    // They answer each other without end: without this, the test would not say which it was.
    if (all > messages_most && !ending_) throw std::runtime_error{"the actors do not come to rest"};
    if (all > messages_most) break;
  }
  return all;
}

void actor_rig::advance(std::int64_t ms) {
  settle();
  const auto step = std::max<std::int64_t>(10, ms / 1000);
  while (ms > 0) {
    const auto now = std::min(step, ms);
    time_.advance(now);
    jobs_->advance_time(std::chrono::milliseconds{now});
    settle();
    ms -= now;
  }
}

} // namespace maru::test
