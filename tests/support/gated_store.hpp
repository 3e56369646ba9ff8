#pragma once

// A store whose writes a test holds back while reads go on.

#include <deque>
#include <memory>
#include <utility>

#include "storage/store.hpp"

namespace maru::test {

class gated_store final : public storage::store {
public:
  explicit gated_store(std::shared_ptr<storage::store> inner) : inner_(std::move(inner)) {}

  void submit(storage::step s, storage::completion done) override {
    if (dead_) return;
    if (shut_)
      held_.emplace_back(std::move(s), std::move(done));
    else
      inner_->submit(std::move(s), std::move(done));
  }
  void read(storage::read_job job, storage::read_failed failed) override {
    if (!dead_) inner_->read(std::move(job), std::move(failed));
  }
  std::uint64_t claim_shards(const std::string& node) override { return inner_->claim_shards(node); }
  [[nodiscard]] storage::counters count() const override { return inner_->count(); }

  void shut() { shut_ = true; }
  // Lets the first `most` of what waits go to the writer.
  void let(std::size_t most) {
    for (; most > 0 && !held_.empty(); --most) {
      auto [s, done] = std::move(held_.front());
      held_.pop_front();
      inner_->submit(std::move(s), std::move(done));
    }
  }
  void open() {
    shut_ = false;
    let(held_.size());
  }
  // As if the process were killed: what waits is lost, nothing is taken any more.
  void die() {
    dead_ = true;
    held_.clear();
  }
  [[nodiscard]] std::size_t held() const { return held_.size(); }

private:
  std::shared_ptr<storage::store> inner_;
  std::deque<std::pair<storage::step, storage::completion>> held_;
  bool shut_ = false, dead_ = false;
};

} // namespace maru::test
