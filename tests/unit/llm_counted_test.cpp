#include "llm/counted.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/scripted_model.hpp"

using namespace maru;
using namespace maru::test;

namespace {

struct counted_model {
  explicit counted_model(const std::string& name = "cloud") {
    config::provider_settings options;
    options.name = name;
    model = std::make_shared<scripted_model>(options);
    provider = llm::counted(model, counts);
  }
  std::unique_ptr<llm::call> call() {
    return provider->start({}, {[this](std::vector<std::string> some) { pieces += some.size(); },
                                [this](llm::outcome) { ++ends; }});
  }
  [[nodiscard]] std::uint64_t running() const { return counts->value(metric::provider_calls_running, 1); }
  [[nodiscard]] std::uint64_t ended(std::size_t outcome) const {
    return counts->value(metric::provider_calls, counts->place(metric::provider_calls, 1, outcome));
  }

  std::shared_ptr<metrics> counts =
      std::make_shared<metrics>(metric_names{"", {"local", "cloud"}, {"other"}});
  std::shared_ptr<scripted_model> model;
  std::shared_ptr<llm::provider> provider;
  std::size_t pieces = 0, ends = 0;
};

constexpr std::size_t cancelled = 8;

} // namespace

TEST_CASE("a call is running until it ends, and its first piece is counted once", "[llm][metrics]") {
  counted_model m;
  const auto call = m.call();
  CHECK(m.running() == 1);
  m.model->last().say({"a", "b"});
  m.model->last().say({"c"});
  CHECK(m.counts->value(metric::provider_first_piece_seconds, 1) == 1);
  m.model->last().finish();
  CHECK(m.running() == 0);
  CHECK(m.ended(0) == 1);
  CHECK(m.counts->value(metric::provider_call_seconds, 1) == 1);
  CHECK(m.pieces == 3);
  CHECK(m.ends == 1);
}

TEST_CASE("calls are counted by how they ended", "[llm][metrics]") {
  counted_model m;
  auto failing = m.call();
  m.model->last().fail(llm::fault::timed_out, true);
  failing.reset();
  CHECK(m.ended(static_cast<std::size_t>(llm::fault::timed_out)) == 1);
  auto dropped = m.call();
  dropped.reset();
  CHECK(m.ended(cancelled) == 1);
  auto stopped = m.call();
  stopped->cancel();
  stopped->cancel();
  CHECK(m.ended(cancelled) == 2);
  CHECK(m.running() == 0);
  CHECK(m.counts->value(metric::provider_first_piece_seconds, 1) == 0);
}
