#pragma once

// A store whose writes, or reads, a test holds back while the others go on.

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "storage/store.hpp"

namespace maru::test {

class gated_store final : public storage::store {
public:
  explicit gated_store(std::shared_ptr<storage::store> inner) : inner_(std::move(inner)) {}

  void submit(storage::step s, storage::completion done) override {
    if (dead_ || (losing_ && losing_(s))) return;
    if (shut_)
      held_.emplace_back(std::move(s), std::move(done));
    else
      inner_->submit(std::move(s), std::move(done));
  }
  void read(storage::read_job job, storage::read_failed failed) override {
    if (dead_ || (reads_lost_ > 0 && reads_lost_-- > 0)) return;
    if (reads_shut_)
      reads_.emplace_back(std::move(job), std::move(failed));
    else
      inner_->read(std::move(job), std::move(failed));
  }
  std::uint64_t claim_shards(const std::string& node) override { return inner_->claim_shards(node); }
  [[nodiscard]] storage::counters count() const override {
    auto out = inner_->count();
    out.queued_steps += held_.size();
    out.queued_reads += reads_.size();
    return out;
  }

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
  // Readers are several: what waits may go on in any order.
  void shut_reads() { reads_shut_ = true; }
  void let_read(std::size_t which) {
    if (which >= reads_.size()) return;
    auto [job, failed] = std::move(reads_[which]);
    reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(which));
    inner_->read(std::move(job), std::move(failed));
  }
  void open_reads() {
    reads_shut_ = false;
    while (!reads_.empty())
      let_read(0);
  }
  // As if the process were killed: what waits is lost, nothing is taken any more.
  void die() {
    dead_ = true;
    held_.clear();
    reads_.clear();
  }
  // What a process wrote that has ended since, still on its way.
  [[nodiscard]] std::vector<storage::step> held_steps() const {
    std::vector<storage::step> out;
    for (const auto& [s, done] : held_)
      out.push_back(s);
    return out;
  }
  // What it says true to is never answered: a fault that only a watchdog finds.
  void lose(std::function<bool(const storage::step&)> which) { losing_ = std::move(which); }
  void lose_reads(std::size_t next) { reads_lost_ = next; }
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  [[nodiscard]] std::size_t held_reads() const { return reads_.size(); }

private:
  std::shared_ptr<storage::store> inner_;
  std::deque<std::pair<storage::step, storage::completion>> held_;
  std::deque<std::pair<storage::read_job, storage::read_failed>> reads_;
  std::function<bool(const storage::step&)> losing_;
  std::size_t reads_lost_ = 0;
  bool shut_ = false, reads_shut_ = false, dead_ = false;
};

} // namespace maru::test
