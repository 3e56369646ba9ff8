#include <utility>

#include "llm/core.hpp"

#include <algorithm>
#include <stdexcept>

#include <spdlog/spdlog.h>

namespace maru::llm {

namespace ssl = boost::asio::ssl;

std::shared_ptr<ssl::context> make_tls(const std::string& ca_file) {
  auto tls = std::make_shared<ssl::context>(ssl::context::tls_client);
  tls->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  tls->set_verify_mode(ssl::verify_peer);
  boost::system::error_code error;
  if (ca_file.empty())
    tls->set_default_verify_paths(error);
  else
    tls->load_verify_file(ca_file, error);
  if (error && !ca_file.empty())
    throw std::invalid_argument("provider.ca_file: a readable file of PEM certificates is wanted (" +
                                error.message() + ")");
  return tls;
}

core::core(unsigned threads) : io_(static_cast<int>(threads)), guard_(io_.get_executor()) {
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i)
    threads_.emplace_back([this] { run(); });
}

void core::run() {
  while (true) {
    try {
      io_.run();
      return;
    } catch (const std::exception& e) {
      // One call's trouble (memory, most likely) is not the others'. Its own time limit ends it.
      spdlog::error("a call to a model failed: {}", e.what());
    }
  }
}

core::~core() { stop(); }

std::shared_ptr<ssl::context> core::system_tls() {
  std::lock_guard lock(mutex_);
  if (!tls_) tls_ = make_tls("");
  return tls_;
}

bool core::add(const std::shared_ptr<wire::running>& what) {
  std::lock_guard lock(mutex_);
  if (!stopping_) open_.emplace(what.get(), what);
  return !stopping_;
}

void core::remove(const wire::running* what) {
  std::lock_guard lock(mutex_);
  open_.erase(what);
}

void core::stop() {
  std::vector<std::shared_ptr<wire::running>> open;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    for (const auto& [key, what] : open_)
      if (auto alive = what.lock()) open.push_back(std::move(alive));
  }
  for (const auto& what : open)
    what->close();
  open.clear();
  guard_.reset();
  for (auto& thread : threads_)
    thread.join();
}

network::network(unsigned threads) : impl_(std::make_unique<impl>()) {
  impl_->shared = std::make_shared<core>(std::max(threads, 1U));
}

network::~network() { impl_->shared->stop(); }

} // namespace maru::llm
