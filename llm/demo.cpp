#include "llm/demo.hpp"

#include <algorithm>

#include "llm/gate.hpp"
#include "llm/tokens.hpp"
#include "llm/wire.hpp"

namespace maru::llm {
namespace {

struct demo_state {
  demo_state(events tell) : door(std::move(tell)) {}

  // What comes at one time. False when it was the last.
  bool step(std::size_t most) {
    std::vector<std::string> some;
    while (next < pieces.size() && some.size() < most)
      some.push_back(std::move(pieces[next++]));
    if (!some.empty() && !door.pieces(std::move(some))) return false;
    if (next < pieces.size()) return true;
    door.end(std::move(end));
    return false;
  }

  gate door;
  std::vector<std::string> pieces;
  std::size_t next = 0;
  outcome end;
};

class demo_call final : public call {
public:
  demo_call(std::shared_ptr<demo_state> state, std::shared_ptr<wire::running> under_way)
      : state_(std::move(state)), running_(std::move(under_way)) {}
  ~demo_call() override { demo_call::cancel(); }
  void cancel() override {
    if (state_->door.cancel()) running_->close();
  }

private:
  std::shared_ptr<demo_state> state_;
  std::shared_ptr<wire::running> running_;
};

std::string_view question_of(const request& what) {
  for (auto turn = what.turns.rbegin(); turn != what.turns.rend(); ++turn)
    if (turn->who == role::user) return turn->text;
  return "";
}

class demo_provider final : public provider {
public:
  demo_provider(const config::provider_settings& options, network& on)
      : options_(options), on_(wire::core_of(on)) {}

  [[nodiscard]] const config::provider_settings& options() const override { return options_; }

  std::unique_ptr<call> start(request what, events tell) override {
    auto state = std::make_shared<demo_state>(std::move(tell));
    auto answer = demo_answer(question_of(what));
    std::string_view left = answer;
    if (left.substr(0, what.prefix.size()) == what.prefix) left.remove_prefix(what.prefix.size());
    state->pieces = demo_pieces(left);
    state->end.finish = "stop";
    state->end.model = "demo";
    state->end.usage.completion_tokens = estimate_tokens(left);
    for (const auto& turn : what.turns)
      state->end.usage.prompt_tokens += estimate_tokens(turn.text) + tokens_around_turn;
    auto most = options_.demo_delay_ms == 0 ? std::max<std::size_t>(state->pieces.size(), 1) : 1;
    auto running = wire::repeat(on_, options_.demo_delay_ms, [state, most] { return state->step(most); });
    return std::make_unique<demo_call>(std::move(state), std::move(running));
  }

private:
  config::provider_settings options_;
  std::shared_ptr<core> on_;
};

} // namespace

std::shared_ptr<provider> make_demo(const config::provider_settings& options, network& on) {
  return std::make_shared<demo_provider>(options, on);
}

} // namespace maru::llm
