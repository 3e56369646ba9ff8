#include "llm/openai.hpp"

#include <algorithm>
#include <stdexcept>

#include "llm/chat_request.hpp"
#include "llm/chat_stream.hpp"
#include "llm/gate.hpp"
#include "llm/tokens.hpp"
#include "llm/url.hpp"
#include "llm/wire.hpp"

namespace maru::llm {
namespace {

class openai_call final : public call {
public:
  openai_call(std::shared_ptr<gate> told, std::shared_ptr<wire::running> under_way)
      : gate_(std::move(told)), running_(std::move(under_way)) {}
  ~openai_call() override { openai_call::cancel(); }

  // After the end the connection is left alone: it may serve the next call.
  void cancel() override {
    if (gate_->cancel()) running_->close();
  }

private:
  std::shared_ptr<gate> gate_;
  std::shared_ptr<wire::running> running_;
};

class openai_provider final : public provider {
public:
  openai_provider(const config::provider_settings& options, network& on, const base_url& to)
      : options_(options), to_(to), pool_(wire::make_pool(on, to, options.ca_file, options.pool)) {}

  [[nodiscard]] const config::provider_settings& options() const override { return options_; }

  std::unique_ptr<call> start(request what, events tell) override {
    token_count prompt;
    for (const auto& turn : what.turns)
      prompt.add(turn.text);
    prompt.add(what.prefix);
    auto tokens = prompt.total() + tokens_around_turn * what.turns.size();
    auto door = std::make_shared<gate>(std::move(tell));
    auto stream = std::make_shared<chat_stream>(door, tokens, what.prefix.size());
    const wire::times limits{options_.connect_timeout_ms, options_.first_piece_timeout_ms,
                             options_.idle_timeout_ms};
    auto running = wire::start(pool_, limits, chat_request(what, to_, options_.api_key), std::move(stream));
    return std::make_unique<openai_call>(std::move(door), std::move(running));
  }

private:
  config::provider_settings options_;
  base_url to_;
  std::shared_ptr<wire::pool> pool_;
};

} // namespace

std::shared_ptr<provider> make_openai(const config::provider_settings& options, network& on) {
  auto to = parse_url(options.url);
  if (!to)
    throw std::invalid_argument(
        "provider.url: http:// or https://, a host, an optional port and path are wanted");
  // Anything else could end the header line and begin another.
  if (!std::all_of(options.api_key.begin(), options.api_key.end(),
                   [](char c) { return c > ' ' && c < 0x7f; }))
    throw std::invalid_argument("provider.api_key: visible ASCII characters without spaces are wanted");
  return std::make_shared<openai_provider>(options, on, *to);
}

} // namespace maru::llm
