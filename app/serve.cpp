#include "app/serve.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "actors/node.hpp"
#include "app/client_files.hpp"
#include "app/control.hpp"
#include "app/database.hpp"
#include "app/logs.hpp"
#include "base/loop_watch.hpp"
#include "config/limits.hpp"
#include "llm/counted.hpp"
#include "llm/provider.hpp"
#include "net/codec.hpp"
#include "net/server.hpp"
#include "storage/folder.hpp"
#include "storage/store.hpp"

namespace maru::app {
namespace {

constexpr unsigned log_patience_seconds = 10;

// Nothing can be promised any more: no destructor may pretend otherwise.
[[noreturn]] void give_up(const std::string& why) {
  spdlog::critical("{}", why);
  spdlog::shutdown();
  std::_Exit(EXIT_FAILURE);
}

// A thread that hangs may hold what the log needs.
[[noreturn]] void end_stuck(const std::string& why) {
  ::alarm(log_patience_seconds);
  give_up(why + ": the process ends");
}

// Why the process ends though nobody asked it to: told once, and the main thread ends all in order.
class verdict {
public:
  void pass(std::string why) {
    const std::lock_guard lock{mutex_};
    if (!why_.empty()) return;
    spdlog::critical("{}: the process ends", why);
    why_ = std::move(why);
    ::kill(::getpid(), SIGTERM);
  }
  [[nodiscard]] bool passed() const {
    const std::lock_guard lock{mutex_};
    return !why_.empty();
  }

private:
  mutable std::mutex mutex_;
  std::string why_;
};

// Otherwise the allocator keeps them once it has seen one freed.
void give_big_buffers_back() { mallopt(M_MMAP_THRESHOLD, static_cast<int>(limits::big_buffer_bytes)); }

void raise_open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Without a configured provider: what this machine has.
void find_model(config::settings& settings) {
  if (!settings.providers.empty()) return;
  auto found = llm::find_provider();
  spdlog::info("{}", found.line);
  if (settings.agents.empty()) {
    config::agent_settings agent;
    agent.name = "maru";
    settings.agents.push_back(std::move(agent));
  }
  for (auto& a : settings.agents) {
    if (a.providers.empty()) a.providers.push_back(found.provider.name);
    if (a.model.empty()) a.model = found.model;
  }
  settings.providers.push_back(std::move(found.provider));
}

std::shared_ptr<metrics> make_metrics(const config::settings& settings) {
  metric_names names{MARU_VERSION, {}, net::route_names()};
  for (const auto& p : settings.providers)
    names.providers.push_back(p.name);
  return std::make_shared<metrics>(names);
}

net::asset_lookup embedded() {
  std::vector<net::asset_file> out;
  for (const auto& f : client_files())
    out.push_back({f.path, f.bytes});
  return net::fixed_assets(out);
}

// Blocked in every thread that follows; waited for by this one. What comes before the wait stays pending, and
// so does what comes after it: neither ends the process in the middle.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

// A full disk is no reason to serve nobody.
void tell_where(control_file& control, const std::string& address) {
  try {
    control.write(address);
  } catch (const std::exception& e) {
    spdlog::error("{}; until it is started again, commands as `maru user` do not find this server", e.what());
  }
}

// True: as it was told to; false: nothing else helped.
bool run(config::settings given, const sigset_t& signals) {
  spdlog::info("maru {} starts data={}", MARU_VERSION, given.server.data.string());
  raise_open_files();
  give_big_buffers_back();
  storage::make_folder(given.server.data);
  control_file control(given.server.data);
  find_model(given);
  const auto counts = make_metrics(given);
  auto store = open_store(given, give_up, counts);
  const auto settings = std::make_shared<const config::settings>(std::move(given));

  const std::string name = "local";
  loops on(settings->server.threads);
  llm::network outgoing(on);
  actors::node_options options;
  options.settings = settings;
  options.db = store;
  for (const auto& p : settings->providers)
    options.models[p.name] = llm::counted(llm::make_provider(p, outgoing), counts);
  options.time = &system_clock();
  const std::shared_ptr<const actors::frame_codec> codec = net::make_codec(*settings, MARU_VERSION, name);
  options.codec = codec.get();
  options.node_name = name;
  options.on = &on;
  options.control_token = control.token();
  options.counts = counts;
  const auto fallen = std::make_shared<verdict>();
  options.gave_up = [fallen](std::string why) { fallen->pass(std::move(why)); };
  store = nullptr;
  actors::node node(std::move(options));
  // Also when the start fails from here on: before the loops have nobody to drive them.
  const std::shared_ptr<void> calls_end_first(nullptr, [&outgoing](void*) { outgoing.stop(); });

  net::server server({node, *settings, system_clock(), codec, embedded(), on, counts});
  server.start();
  for (const auto& address : server.addresses())
    spdlog::info("maru {} listens on {}{}", MARU_VERSION, address.starts_with("unix:") ? "" : "http://",
                 address);
  if (!server.addresses().empty()) tell_where(control, server.addresses().front());

  loop_watch::options watch;
  watch.look_ms = limits::look_ms;
  watch.looks_most =
      std::max(limits::looks_in_vain_least, settings->supervision.stuck_seconds * 1000 / limits::look_ms);
  watch.beats = [&node] { return node.looks(); };
  watch.stuck = end_stuck;
  loop_watch threads(on, std::move(watch));
  if (settings->supervision.stuck_seconds > 0) threads.start();

  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("going down: connections are told, running answers go on at the next start");
  std::promise<void> drained;
  server.drain([&] { drained.set_value(); });
  drained.get_future().wait();
  server.stop();
  outgoing.stop();
  threads.stop();
  node.shut_down();
  return !fallen->passed();
}

} // namespace

int serve(config::settings settings) {
  const auto signals = block_signals(); // before the log has a thread
  set_up_logs(settings.log);
  try {
    if (!run(std::move(settings), signals)) {
      spdlog::critical("maru has ended, since it could not go on");
      return EXIT_FAILURE;
    }
  } catch (const storage::open_error& e) {
    spdlog::critical("{}", e.detail);
    return EXIT_FAILURE;
  } catch (const std::exception& e) {
    spdlog::critical("{}", e.what());
    return EXIT_FAILURE;
  }
  spdlog::info("maru has ended");
  return EXIT_SUCCESS;
}

} // namespace maru::app
