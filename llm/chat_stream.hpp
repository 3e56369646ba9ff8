#pragma once

// Makes pieces and one outcome of the reply to a Chat Completions call.

#include <memory>
#include <string>
#include <vector>

#include "config/limits.hpp"
#include "llm/chat_chunk.hpp"
#include "llm/gate.hpp"
#include "llm/sse.hpp"
#include "llm/tokens.hpp"
#include "llm/wire.hpp"

namespace maru::llm {

class chat_stream final : public wire::sink {
public:
  // `prompt_tokens` is an estimate; `prefix_bytes` count towards the bound of an answer.
  chat_stream(std::shared_ptr<gate> to, std::uint64_t prompt_tokens, std::size_t prefix_bytes)
      : to_(std::move(to)), prompt_tokens_(prompt_tokens), answer_bytes_(prefix_bytes) {}

  wire::verdict on_head(const wire::head& what) override;
  wire::verdict on_body(std::string_view bytes) override;
  void on_end(wire::end how, std::string_view detail) override;

private:
  enum class mode { stream, refused }; // refused: an error's body is read for its code

  wire::verdict refuse(fault what, bool retryable);
  wire::verdict on_stream(std::string_view bytes);
  void on_data(const sse_event& event);
  void on_text(std::string text);
  wire::verdict finish_refused();
  void stop(wire::verdict then, fault what, std::string_view detail);
  void end(fault what, std::string_view detail);

  std::shared_ptr<gate> to_;
  std::uint64_t prompt_tokens_;
  std::size_t answer_bytes_;
  mode mode_ = mode::stream;
  sse_parser lines_{limits::provider_line_bytes};
  std::vector<std::string> pieces_; // of the read at hand
  std::string error_body_;
  outcome out_;
  token_count written_;
  bool alive_ = false;   // something of the answer came: its time limit is the idle one
  bool fresh_ = false;   // data came with the read at hand
  bool stopped_ = false; // the outcome is known; told after the pieces of this read
  wire::verdict then_ = wire::verdict::close;
};

} // namespace maru::llm
