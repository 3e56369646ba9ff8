#include "actors/event_data.hpp"

#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"

namespace maru::actors::event_data {
namespace {

using json = nlohmann::json;

std::string dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

json asked_json(const std::vector<asked>& answers) {
  auto list = json::array();
  for (const auto& a : answers)
    list.push_back({{"answer", a.answer.str()}, {"agent", a.agent}});
  return list;
}

// What is no string counts as none: a row that was damaged must not end its room each time it is read.
std::string text_in(const json& from, const char* name) {
  const auto at = from.find(name);
  return at != from.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

json of_turn(const turn& of) { return {{"schedule", of.schedule.str()}, {"at", rfc3339(of.due)}}; }

json of_answer(const answer_fact& what, const std::string& text) {
  return {{"answer", what.answer.str()},
          {"question", what.question.str()},
          {"agent", what.agent},
          {"text", text}};
}

} // namespace

std::string message(const post_message& what, const std::optional<uuid>& parent,
                    const std::vector<asked>& answers, const std::optional<turn>& of) {
  json j{{"text", what.text}, {"answers", asked_json(answers)}};
  if (of)
    j["scheduled"] = of_turn(*of);
  else
    j["client_id"] = what.id;
  if (parent) j["parent"] = parent->str();
  if (what.has_reply_to) j["reply_to"] = what.reply_to.str();
  return dump(j);
}

std::string not_sent(const turn& what, const uuid& author, const std::string& name,
                     const std::string& reason) {
  json j{{"code", "not_sent"}, {"scheduled", of_turn(what)}, {"reason", {{"code", reason}}}};
  j["author"] = {{"id", author.str()}, {"name", name}};
  return dump(j);
}

std::string answered(const answer_fact& what, const finish_answer& how) {
  auto j = of_answer(what, how.text);
  j["model"] = how.model;
  j["finish"] = how.finish;
  j["attempts"] = how.attempt;
  j["usage"] = {{"prompt_tokens", how.prompt_tokens},
                {"completion_tokens", how.completion_tokens},
                {"estimated", how.usage_estimated}};
  return dump(j);
}

std::string failed(const answer_fact& what, const std::string& reason) {
  auto j = of_answer(what, what.text);
  j["reason"] = {{"code", reason}};
  return dump(j);
}

std::string stopped(const answer_fact& what) { return dump(of_answer(what, what.text)); }

std::string asked_list(const std::vector<asked>& answers) { return dump(asked_json(answers)); }

std::vector<asked> parse_asked(const std::string& text) {
  std::vector<asked> list;
  const auto j = json::parse(text, nullptr, false);
  if (!j.is_array()) return list;
  for (const auto& a : j)
    if (const auto id = uuid::parse(text_in(a, "answer"))) list.push_back({*id, text_in(a, "agent")});
  return list;
}

void shorten(std::string& data) {
  if (data.size() <= limits::brief_event_bytes) return;
  auto j = json::parse(data, nullptr, false);
  if (!j.is_object()) return;
  const auto at = j.find("text");
  if (at == j.end() || !at->is_string()) return;
  auto& whole = at->get_ref<std::string&>();
  if (whole.size() <= limits::brief_text_bytes) return;
  whole.resize(text::prefix(whole, limits::brief_text_bytes).size());
  j["cut"] = true;
  data = dump(j);
}

spoken read(const std::string& data) {
  const auto j = json::parse(data, nullptr, false);
  if (!j.is_object()) return {};
  return {text_in(j, "text"), text_in(j, "agent")};
}

} // namespace maru::actors::event_data
