#include <utility>

#include "llm/core.hpp"

#include <algorithm>
#include <stdexcept>

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

core::core(unsigned threads) : own_(std::make_unique<driven_loops>(threads)), on_(own_->all()) {}

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

void core::on_stop(std::function<void()> what) {
  std::lock_guard lock(mutex_);
  at_stop_.push_back(std::move(what));
}

void core::stop() {
  std::vector<std::shared_ptr<wire::running>> open;
  std::vector<std::function<void()>> also;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    also = std::move(at_stop_);
    for (const auto& [key, what] : open_)
      if (auto alive = what.lock()) open.push_back(std::move(alive));
  }
  for (const auto& what : open)
    what->close();
  open.clear();
  for (const auto& what : also)
    what();
  if (!own_) return;
  own_->stop();
  over_ = true;
}

network::network(loops& on) : impl_(std::make_unique<impl>()) { impl_->shared = std::make_shared<core>(on); }

network::network(unsigned threads) : impl_(std::make_unique<impl>()) {
  impl_->shared = std::make_shared<core>(std::max(threads, 1U));
}

network::~network() { stop(); }

void network::stop() { impl_->shared->stop(); }

} // namespace maru::llm
