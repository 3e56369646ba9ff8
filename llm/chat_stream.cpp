#include "llm/chat_stream.hpp"

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"
#include "llm/retry.hpp"

namespace maru::llm {
namespace {

// Servers that stream under another name, or none, are judged by what they send.
bool surely_no_stream(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return type.find("html") != type.npos || type.find("json") != type.npos || type.find("xml") != type.npos;
}

bool again(fault what) { return what != fault::none && what != fault::status; }

} // namespace

wire::verdict chat_stream::on_head(const wire::head& what) {
  out_.http_status = what.status;
  if (what.status < 200 || what.status > 299) {
    out_.retry_after = parse_retry_after(what.retry_after, system_clock().unix_ms());
    return refuse(fault::status, retryable_status(what.status));
  }
  if (surely_no_stream(what.content_type)) return refuse(fault::not_a_stream, true);
  return wire::verdict::wait;
}

wire::verdict chat_stream::refuse(fault what, bool retryable) {
  mode_ = mode::refused;
  out_.what = what;
  out_.retryable = retryable;
  return wire::verdict::hurry;
}

wire::verdict chat_stream::on_body(std::string_view bytes) {
  if (mode_ == mode::stream) return on_stream(bytes);
  error_body_.append(bytes.substr(0, limits::provider_error_body_bytes - error_body_.size()));
  return error_body_.size() < limits::provider_error_body_bytes ? wire::verdict::wait : finish_refused();
}

wire::verdict chat_stream::finish_refused() {
  auto code = error_word_of(error_body_);
  auto detail = "status " + std::to_string(out_.http_status) + (code.empty() ? "" : ", " + code);
  out_.detail = out_.what == fault::status ? detail : "not an event stream, " + detail;
  to_->end(std::move(out_));
  return wire::verdict::close;
}

wire::verdict chat_stream::on_stream(std::string_view bytes) {
  fresh_ = false;
  lines_.feed(bytes);
  while (!stopped_) {
    auto event = lines_.next();
    if (!event || lines_.foreign()) break;
    on_data(*event);
  }
  if (!stopped_ && lines_.too_large())
    stop(wire::verdict::close, fault::too_large, "a line or event beyond its bound");
  if (!stopped_ && lines_.foreign()) stop(wire::verdict::close, fault::not_a_stream, "not an event stream");
  if (!pieces_.empty() && !to_->pieces(std::exchange(pieces_, {}))) return wire::verdict::close;
  if (stopped_) {
    end(out_.what, std::string(out_.detail));
    return then_;
  }
  if (!out_.finish.empty()) return wire::verdict::hurry;
  return fresh_ && alive_ ? wire::verdict::alive : wire::verdict::wait;
}

void chat_stream::on_data(const sse_event& event) {
  if (event.data == "[DONE]") return stop(wire::verdict::settle, fault::none, "");
  auto chunk = parse_chat_chunk(event.data);
  if (chunk.error || event.name == "error")
    return stop(wire::verdict::close, fault::in_stream,
                chunk.error_word.empty() ? "error" : chunk.error_word);
  if (chunk.garbage) return stop(wire::verdict::close, fault::not_a_stream, "an event is no JSON object");
  fresh_ = true;
  alive_ = alive_ || chunk.thinking || !chunk.text.empty();
  if (!chunk.model.empty()) out_.model = std::move(chunk.model);
  if (chunk.tokens) out_.usage = *chunk.tokens;
  if (!chunk.text.empty()) on_text(std::move(chunk.text));
  if (!chunk.finish.empty() && !stopped_) out_.finish = std::move(chunk.finish);
}

void chat_stream::on_text(std::string text) {
  auto room = limits::answer_text_bytes - std::min(answer_bytes_, limits::answer_text_bytes);
  if (text.size() > room) {
    text.resize(text::prefix(text, room).size());
    out_.finish = "length";
    stop(wire::verdict::close, fault::none, "");
  }
  if (text.empty()) return;
  answer_bytes_ += text.size();
  written_.add(text);
  pieces_.push_back(std::move(text));
}

void chat_stream::stop(wire::verdict then, fault what, std::string_view detail) {
  stopped_ = true;
  then_ = then;
  out_.what = what;
  out_.detail = detail;
}

void chat_stream::on_end(wire::end how, std::string_view detail) {
  if (mode_ == mode::refused) {
    finish_refused();
    return;
  }
  if (how == wire::end::unreachable) return end(fault::unreachable, detail);
  if (how == wire::end::malformed) return end(fault::not_a_stream, "the reply is no HTTP");
  if (auto last = lines_.finish(); last && (last->data == "[DONE]" || !parse_chat_chunk(last->data).garbage))
    on_data(*last);
  if (!pieces_.empty() && !to_->pieces(std::exchange(pieces_, {}))) return;
  if (stopped_) return end(out_.what, std::string(out_.detail));
  if (!out_.finish.empty()) return end(fault::none, "");
  if (how == wire::end::timed_out) return end(fault::timed_out, detail);
  if (lines_.foreign()) return end(fault::not_a_stream, "not an event stream");
  end(fault::cut, "ended without finish reason");
}

void chat_stream::end(fault what, std::string_view detail) {
  if (what == fault::none && out_.finish.empty()) out_.finish = "stop";
  if (what != fault::none) out_.finish.clear();
  if (out_.usage.estimated && out_.http_status != 0) out_.usage = {prompt_tokens_, written_.total(), true};
  out_.what = what;
  out_.detail = detail;
  out_.retryable = again(what);
  to_->end(std::move(out_));
}

} // namespace maru::llm
