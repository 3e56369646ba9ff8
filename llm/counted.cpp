#include "llm/counted.hpp"

#include <atomic>
#include <utility>

namespace maru::llm {
namespace {

constexpr auto cancelled = static_cast<std::size_t>(fault::too_large) + 1; // as in the table of metrics

// One call's numbers. Its end is counted once: as the stream tells it, or as cancelled.
class tally {
public:
  tally(std::shared_ptr<metrics> counts, std::size_t provider)
      : counts_(std::move(counts)), provider_(provider) {
    counts_->add_at(metric::provider_calls_running, provider_);
  }

  void piece() {
    if (!std::exchange(heard_, true))
      counts_->observe_at(metric::provider_first_piece_seconds, provider_, since_.seconds());
  }

  void end(std::size_t outcome) {
    if (over_.exchange(true)) return;
    counts_->take_at(metric::provider_calls_running, provider_);
    counts_->observe_at(metric::provider_call_seconds, provider_, since_.seconds());
    counts_->add_at(metric::provider_calls, counts_->place(metric::provider_calls, provider_, outcome));
  }

private:
  const std::shared_ptr<metrics> counts_;
  const std::size_t provider_;
  const stopwatch since_;
  bool heard_ = false; // of the stream's thread
  std::atomic<bool> over_{false};
};

class counted_call final : public call {
public:
  counted_call(std::unique_ptr<call> inner, std::shared_ptr<tally> numbers)
      : inner_(std::move(inner)), numbers_(std::move(numbers)) {}
  ~counted_call() override { counted_call::cancel(); }

  void cancel() override {
    inner_->cancel();
    numbers_->end(cancelled);
  }

private:
  std::unique_ptr<call> inner_;
  std::shared_ptr<tally> numbers_;
};

class counted_provider final : public provider {
public:
  counted_provider(std::shared_ptr<provider> inner, std::shared_ptr<metrics> counts)
      : inner_(std::move(inner)), counts_(std::move(counts)),
        at_(counts_->at(metric::provider_calls_running, inner_->options().name)) {}

  [[nodiscard]] const config::provider_settings& options() const override { return inner_->options(); }

  std::unique_ptr<call> start(request what, events tell) override {
    auto numbers = std::make_shared<tally>(counts_, at_);
    events also;
    also.pieces = [numbers, pieces = std::move(tell.pieces)](std::vector<std::string> text) {
      numbers->piece();
      pieces(std::move(text));
    };
    also.ended = [numbers, ended = std::move(tell.ended)](outcome how) {
      numbers->end(static_cast<std::size_t>(how.what));
      ended(std::move(how));
    };
    return std::make_unique<counted_call>(inner_->start(std::move(what), std::move(also)),
                                          std::move(numbers));
  }

private:
  const std::shared_ptr<provider> inner_;
  const std::shared_ptr<metrics> counts_;
  const std::size_t at_;
};

} // namespace

std::shared_ptr<provider> counted(std::shared_ptr<provider> inner, std::shared_ptr<metrics> counts) {
  return std::make_shared<counted_provider>(std::move(inner), std::move(counts));
}

} // namespace maru::llm
