#pragma once

// One call of the openai provider to a fake model, and what it told.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llm/provider.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/fake_model.hpp"

namespace maru::test {

// What one call told, collected on the network's threads.
class told {
public:
  llm::events take() {
    return {[this](std::vector<std::string> some) {
              std::lock_guard lock(mutex_);
              for (auto& s : some) {
                bad_ = bad_ || s.empty() || end_;
                text_ += s;
                ++pieces_;
              }
              ++reads_;
              changed_.notify_all();
            },
            [this](llm::outcome how) {
              std::lock_guard lock(mutex_);
              bad_ = bad_ || end_.has_value();
              end_ = std::move(how);
              changed_.notify_all();
            }};
  }
  llm::outcome end() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return end_.has_value(); }));
    CHECK_FALSE(bad_);
    return *end_;
  }
  void wait_for_pieces(std::size_t n) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return pieces_ >= n; }));
  }
  bool ended() {
    std::lock_guard lock(mutex_);
    return end_.has_value();
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }
  std::size_t pieces() {
    std::lock_guard lock(mutex_);
    return pieces_;
  }
  std::size_t reads() {
    std::lock_guard lock(mutex_);
    return reads_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::size_t pieces_ = 0;
  std::size_t reads_ = 0;
  std::optional<llm::outcome> end_;
  bool bad_ = false;
};

inline config::provider_settings at(const std::string& url) {
  config::provider_settings o;
  o.name = "p";
  o.kind = "openai";
  o.url = url;
  return o;
}

inline llm::request ask(std::string question) {
  return {"any-model", {{llm::role::user, std::move(question)}}, "", 0};
}

inline fake_behaviour always(fake_script script) {
  return [script](const fake_request&) { return script; };
}

inline fake_script says(std::vector<fake_step> steps, fake_end how = fake_end::finish) {
  fake_script s;
  s.steps = std::move(steps);
  s.end = how;
  return s;
}

inline llm::outcome one_call(fake_script script) {
  fake_model fake(always(std::move(script)));
  llm::network on(1);
  told t;
  auto p = make_provider(at(fake.url()), on);
  auto c = p->start(ask("q"), t.take());
  return t.end();
}

inline llm::outcome one_call(config::provider_settings options) {
  llm::network on(1);
  told t;
  auto p = make_provider(options, on);
  auto c = p->start(ask("q"), t.take());
  return t.end();
}

} // namespace maru::test
