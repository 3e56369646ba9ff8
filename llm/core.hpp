#pragma once

// What all outgoing calls share. Included by what talks to the network alone: it brings Asio along.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "base/loops.hpp"
#include "llm/wire.hpp"

namespace maru::llm {

class core {
public:
  explicit core(loops& on) : on_(on) {}
  explicit core(unsigned threads);
  ~core();

  // Where a call lives: on the loop that starts it.
  loop& near() { return on_.near(); }
  // Its own loops have ended: what is given to them would keep itself alive.
  [[nodiscard]] bool over() const { return over_; }

  // With the system's certificates, made when first asked for: reading them takes a while.
  std::shared_ptr<boost::asio::ssl::context> system_tls();

  // False when the network is being taken down: then nothing may be started.
  bool add(const std::shared_ptr<wire::running>& what);
  void remove(const wire::running* what);

  // `what` is called when the network stops.
  void on_stop(std::function<void()> what);

  // Closes all that is under way, and ends the threads that are its own.
  void stop();

private:
  std::unique_ptr<driven_loops> own_;
  loops& on_;
  std::mutex mutex_;
  std::unordered_map<const wire::running*, std::weak_ptr<wire::running>> open_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  std::vector<std::function<void()>> at_stop_;
  bool stopping_ = false;
  std::atomic<bool> over_{false};
};

// Verifies the other side; `ca_file` "" means the system's certificates. Throws std::invalid_argument.
std::shared_ptr<boost::asio::ssl::context> make_tls(const std::string& ca_file);

struct network::impl {
  std::shared_ptr<core> shared;
};

} // namespace maru::llm
