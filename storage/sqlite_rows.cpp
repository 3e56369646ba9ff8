#include "storage/sqlite_rows.hpp"

#include <nlohmann/json.hpp>

namespace maru::storage::sqlite {

namespace {

std::vector<std::string> agents_from(const std::string& text) {
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  std::vector<std::string> out;
  if (!parsed.is_array()) return out;
  for (const auto& name : parsed)
    if (name.is_string()) out.push_back(name.get<std::string>());
  return out;
}

std::optional<std::uint64_t> maybe_count(const query& q, int column) {
  if (q.null(column)) return std::nullopt;
  return q.count(column);
}

} // namespace

std::string agents_text(const std::vector<std::string>& agents) {
  return nlohmann::json(agents).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

account_row account_of(const query& q) {
  return {q.id(0), q.bytes(1), q.bytes(2), q.bytes(3), q.bytes(4), q.bytes(5), q.bytes(6), q.integer(7)};
}

room_row room_of(const query& q) {
  return {q.id(0),    q.bytes(1),  agents_from(q.bytes(2)), q.id(3), q.integer(4), q.count(5),
          q.count(6), q.integer(7)};
}

member_row member_of(const query& q) { return {q.id(0), q.id(1), q.bytes(2), q.integer(3), q.count(4)}; }

event_row event_of(const query& q) {
  event_row out;
  out.room = q.id(0);
  out.seq = q.count(1);
  out.id = q.id(2);
  out.kind = q.bytes(3);
  out.at = q.integer(4);
  out.author = {q.bytes(5), q.id(6), q.bytes(7)};
  out.parent = q.maybe_id(8);
  out.reply_to = q.maybe_id(9);
  out.data = q.null(10) ? R"({"erased":true})" : q.bytes(10);
  return out;
}

command_row command_of(const query& q) {
  return {q.id(0), q.id(1), q.id(2), q.bytes(3), q.count(4), q.id(5), q.bytes(6)};
}

answer_row answer_of(const query& q) {
  answer_row out;
  out.id = q.id(0);
  out.room = q.id(1);
  out.question = q.id(2);
  out.question_seq = q.count(3);
  out.agent = q.bytes(4);
  out.asker = q.id(5);
  out.attempt = q.small(6);
  out.provider_failures = q.small(7);
  out.end_seq = maybe_count(q, 8);
  out.end_event = q.maybe_id(9);
  out.spent = q.bytes(10);
  return out;
}

mailbox_entry entry_of(const query& q) {
  mailbox_entry out;
  out.mailbox = q.bytes(0);
  out.seq = q.count(1);
  out.id = q.id(2);
  out.kind = q.bytes(3);
  out.body = q.bytes(4);
  out.enqueued_at = q.integer(5);
  out.visible_at = q.integer(6);
  out.expires_at = q.maybe_integer(7);
  out.failures = q.small(8);
  out.losses = q.small(9);
  out.owner = q.maybe_id(10);
  return out;
}

} // namespace maru::storage::sqlite
