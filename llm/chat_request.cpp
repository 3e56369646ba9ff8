#include "llm/chat_request.hpp"

#include <nlohmann/json.hpp>

namespace maru::llm {
namespace {

using json = nlohmann::json;

const char* word(role who) {
  switch (who) {
  case role::system:
    return "system";
  case role::user:
    return "user";
  case role::assistant:
    return "assistant";
  }
  return "user";
}

std::string chat_body(const request& what, const base_url& to) {
  auto messages = json::array();
  for (const auto& turn : what.turns)
    messages.push_back({{"role", word(turn.who)}, {"content", turn.text}});
  json body{{"stream", true}, {"stream_options", {{"include_usage", true}}}};
  if (!what.model.empty()) body["model"] = what.model;
  if (what.max_tokens > 0) // OpenAI's newer models refuse the name that everybody else knows
    body[to.host == "api.openai.com" ? "max_completion_tokens" : "max_tokens"] = what.max_tokens;
  if (!what.prefix.empty()) {
    messages.push_back({{"role", "assistant"}, {"content", what.prefix}});
    body["continue_final_message"] = true;
    body["add_generation_prompt"] = false;
  }
  body["messages"] = std::move(messages);
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::string chat_request(const request& what, const base_url& to, const std::string& api_key) {
  auto body = chat_body(what, to);
  std::string out;
  out.reserve(body.size() + 512);
  out.append("POST ").append(to.path).append("/chat/completions HTTP/1.1\r\nHost: ").append(to.host_header());
  out.append("\r\nUser-Agent: maru\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n");
  if (!api_key.empty()) out.append("Authorization: Bearer ").append(api_key).append("\r\n");
  out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  return out;
}

} // namespace maru::llm
