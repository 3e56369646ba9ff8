#pragma once

// The threads that all outgoing calls share. Included by wire.cpp and network.cpp alone: it brings Asio
// along.

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "llm/wire.hpp"

namespace maru::llm {

class core {
public:
  explicit core(unsigned threads);
  ~core();

  boost::asio::io_context& io() { return io_; }

  // With the system's certificates, made when first asked for: reading them takes a while.
  std::shared_ptr<boost::asio::ssl::context> system_tls();

  // False when the network is being taken down: then nothing may be started.
  bool add(const std::shared_ptr<wire::running>& what);
  void remove(const wire::running* what);

  // Closes all that is under way and waits for the threads to end.
  void stop();

private:
  void run();

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::unordered_map<const wire::running*, std::weak_ptr<wire::running>> open_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  bool stopping_ = false;
};

// Verifies the other side; `ca_file` "" means the system's certificates. Throws std::invalid_argument.
std::shared_ptr<boost::asio::ssl::context> make_tls(const std::string& ca_file);

struct network::impl {
  std::shared_ptr<core> shared;
};

} // namespace maru::llm
