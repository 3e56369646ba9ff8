#pragma once

// The real server as a process of its own: started in a directory that is removed with it, killed, started
// again.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace maru::tests {

struct server_options {
  std::string model_url; // of a fake model; "": the built-in demonstration
  std::string recovery = "restart";
  std::uint32_t attempts = 5;
  std::uint32_t first_piece_timeout_ms = 20'000;
  std::uint32_t idle_timeout_ms = 20'000;
  std::uint32_t backoff_first_ms = 20;
  std::vector<std::string> agents{"maru", "second"};
  std::vector<std::string> set;         // KEY=VALUE, over the rest
  std::vector<std::string> environment; // NAME=VALUE
  std::filesystem::path data;           // "": in the directory of the process
  bool on_socket_file = false;          // listens in that directory and on no port
};

class server_process {
public:
  server_process(std::string binary, server_options options);
  ~server_process(); // kills it
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;

  void start();       // and waits until it is ready; throws std::runtime_error with the log when it is not
  void begin_start(); // does not wait
  bool wait_ready();
  void kill(); // SIGKILL, and waits for the end
  std::optional<int>
  terminate(); // SIGTERM; the exit status, nothing when a signal ended it or it took too long
  void send_signal(int number);
  std::optional<int> wait_end();

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  [[nodiscard]] std::filesystem::path data() const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] std::uint64_t rss_kib() const;
  [[nodiscard]] std::string log() const; // of all its lives
  // Of this life.
  bool wait_log(const std::string& text, std::chrono::milliseconds most = std::chrono::seconds{60}) const;

private:
  void write_config() const;
  void read_log(int fd);
  // Under the lock, woken by each piece of log.
  bool wait_for(const std::function<bool()>& what, std::chrono::milliseconds most) const;

  std::string binary_;
  server_options options_;
  std::filesystem::path directory_;
  std::string address_;
  pid_t pid_ = -1;
  std::thread reader_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string log_;
  std::size_t log_from_ = 0; // of this life
  bool log_ended_ = true;
};

} // namespace maru::tests
