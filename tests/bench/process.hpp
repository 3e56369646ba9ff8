#pragma once

// A server as a process of its own, and what it uses up.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace maru::bench {

struct usage {
  double cpu_seconds = 0;
  double resident_kb = 0;
  std::uint64_t waits = 0;                   // context switches of threads that had to wait
  std::optional<std::uint64_t> instructions; // in user space, since count_instructions()
};

class process {
public:
  process() = default;
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  void start(std::vector<std::string> words); // program and arguments; throws when there is no fork
  [[nodiscard]] bool ended();                 // by itself
  void stop();                                // SIGTERM, and in the end SIGKILL
  void kill();                                // SIGKILL
  // From now on, where the kernel and the machine let a program count them; otherwise nothing is counted.
  void count_instructions();
  [[nodiscard]] usage used() const;

private:
  void forget();

  pid_t pid_ = -1;
  std::vector<int> counters_; // one for each thread; threads that these make are counted along
};

// What was used up from its making to stop(), by the server and by the bench itself.
struct spent {
  double seconds = 0;
  double server_cpu = 0;
  double client_cpu = 0; // of the thread that speaks as the clients: the one that made the stopwatch
  double model_cpu = 0;  // of all other threads of the bench
  double waits = 0;
  std::optional<double> instructions;
};

class stopwatch {
public:
  explicit stopwatch(process& server);
  [[nodiscard]] spent stop() const;

private:
  const process& server_;
  usage then_;
  double client_ = 0, bench_ = 0;
  std::int64_t begin_ = 0;
};

} // namespace maru::bench
