#include "tests/bench/process.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <linux/perf_event.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr int stop_attempts = 10'000; // of a millisecond

double cpu_seconds(clockid_t of) {
  timespec time{};
  ::clock_gettime(of, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// What /proc/PID/task lists.
std::vector<std::string> threads(pid_t pid) {
  std::vector<std::string> out;
  std::error_code gone;
  const auto all = "/proc/" + std::to_string(pid) + "/task";
  for (auto at = std::filesystem::directory_iterator(all, gone); !gone && at != end(at); at.increment(gone))
    out.push_back(at->path().string());
  return out;
}

int count_of_thread(pid_t thread) {
  perf_event_attr what{};
  what.size = sizeof what;
  what.type = PERF_TYPE_HARDWARE;
  what.config = PERF_COUNT_HW_INSTRUCTIONS;
  what.exclude_kernel = 1;
  what.exclude_hv = 1;
  what.inherit = 1;
  return static_cast<int>(::syscall(SYS_perf_event_open, &what, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

double number_after(const std::string& file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) return std::stod(line.substr(name.size()));
  return 0;
}

} // namespace

process::~process() { stop(); }

void process::start(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execvp(arguments.front(), arguments.data());
  ::_exit(127);
}

bool process::ended() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) forget();
  return pid_ <= 0;
}

void process::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < stop_attempts && !ended(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (pid_ <= 0) return;
  std::fprintf(stderr, "the server did not end by itself\n");
  kill();
}

void process::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  forget();
}

void process::forget() {
  pid_ = -1;
  for (const int fd : counters_)
    ::close(fd);
  counters_.clear();
}

void process::count_instructions() {
  if (!counters_.empty() || pid_ <= 0) return;
  for (const auto& path : threads(pid_)) {
    const int fd = count_of_thread(std::stoi(path.substr(path.rfind('/') + 1)));
    if (fd >= 0) counters_.push_back(fd);
  }
}

usage process::used() const {
  usage out;
  if (pid_ <= 0) return out;
  const auto proc = "/proc/" + std::to_string(pid_);
  clockid_t clock{}; // finer than the ticks of /proc/PID/stat
  if (::clock_getcpuclockid(pid_, &clock) == 0) out.cpu_seconds = cpu_seconds(clock);
  out.resident_kb = number_after(proc + "/status", "VmRSS:");
  for (const auto& one : threads(pid_))
    out.waits += static_cast<std::uint64_t>(number_after(one + "/status", "voluntary_ctxt_switches:"));
  for (const int fd : counters_) {
    std::uint64_t value = 0;
    if (::read(fd, &value, sizeof value) == sizeof value)
      out.instructions = out.instructions.value_or(0) + value;
  }
  return out;
}

stopwatch::stopwatch(process& server) : server_(server) {
  server.count_instructions();
  then_ = server.used();
  client_ = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  bench_ = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  begin_ = now_ns();
}

spent stopwatch::stop() const {
  spent out;
  out.seconds = static_cast<double>(now_ns() - begin_) / 1e9;
  out.client_cpu = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - client_;
  out.model_cpu = std::max(cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - bench_ - out.client_cpu, 0.0);
  const auto now = server_.used();
  out.server_cpu = now.cpu_seconds - then_.cpu_seconds;
  out.waits = static_cast<double>(now.waits) - static_cast<double>(then_.waits);
  if (now.instructions && then_.instructions)
    out.instructions = static_cast<double>(*now.instructions - *then_.instructions);
  return out;
}

} // namespace maru::bench
