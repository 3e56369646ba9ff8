#pragma once

// A model that says what a test tells it to, when the test tells it to.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "llm/provider.hpp"

namespace maru::test {

// One call of it, kept after it ended.
struct model_stream {
  llm::request what;
  llm::events tell;
  bool open = true;       // neither ended by the model nor cancelled
  bool cancelled = false; // by the other side, before its end
  bool finished = false;  // ended well
  std::string said;

  void say(std::vector<std::string> pieces) {
    if (!open) return;
    for (const auto& p : pieces)
      said += p;
    tell.pieces(std::move(pieces));
  }
  void end(llm::outcome how) {
    if (!std::exchange(open, false)) return;
    tell.ended(std::move(how));
  }
  void finish() {
    finished |= open;
    llm::outcome how;
    how.finish = "stop";
    how.model = "scripted";
    how.usage = {3, 4, false};
    end(std::move(how));
  }
  void fail(llm::fault what_failed, bool retryable, int http_status = 0,
            std::chrono::milliseconds retry_after = {}) {
    llm::outcome how;
    how.retry_after = retry_after;
    how.what = what_failed;
    how.retryable = retryable;
    how.http_status = http_status;
    end(std::move(how));
  }
};

class scripted_model final : public llm::provider {
public:
  explicit scripted_model(config::provider_settings options) : options_(std::move(options)) {}

  [[nodiscard]] const config::provider_settings& options() const override { return options_; }

  std::unique_ptr<llm::call> start(llm::request what, llm::events tell) override {
    auto stream = std::make_shared<model_stream>();
    stream->what = std::move(what);
    stream->tell = std::move(tell);
    calls.push_back(stream);
    return std::make_unique<handle>(stream);
  }

  [[nodiscard]] model_stream& last() { return *calls.at(calls.size() - 1); }
  [[nodiscard]] std::size_t open_calls() const {
    std::size_t open = 0;
    for (const auto& c : calls)
      open += c->open ? 1 : 0;
    return open;
  }

  std::vector<std::shared_ptr<model_stream>> calls;

private:
  class handle final : public llm::call {
  public:
    explicit handle(std::shared_ptr<model_stream> of) : of_(std::move(of)) {}
    ~handle() override { handle::cancel(); }
    void cancel() override {
      if (!std::exchange(of_->open, false)) return;
      of_->cancelled = true;
      of_->tell = {}; // nothing is told any more
    }

  private:
    std::shared_ptr<model_stream> of_;
  };

  config::provider_settings options_;
};

} // namespace maru::test
