#include "actors/common.hpp"

#include "config/limits.hpp"

namespace maru::actors {

refusal refusal_of(storage::failure why) {
  switch (why) {
  case storage::failure::none:
    return {};
  case storage::failure::overloaded:
    return {code::overloaded, "too much is waiting to be stored; try again", limits::retry_after_ms};
  default:
    return {code::storage_unavailable, "nothing can be stored at the moment; try again",
            limits::retry_after_ms};
  }
}

event_fact fact_of(const storage::event_row& row) {
  return {row.seq, row.id, row.kind, row.at, row.author.kind, row.author.id, row.author.name, row.data};
}

namespace {
constexpr std::string_view mailbox_prefix = "agent/";
constexpr std::size_t uuid_chars = 36;
} // namespace

std::string child_name(const agent_name& of) { return of.room.str() + "/" + of.agent; }

std::optional<agent_name> agent_name_of(const std::string& child_name) {
  if (child_name.size() < uuid_chars + 2 || child_name[uuid_chars] != '/') return std::nullopt;
  const auto room = uuid::parse(std::string_view{child_name}.substr(0, uuid_chars));
  if (!room) return std::nullopt;
  return agent_name{*room, child_name.substr(uuid_chars + 1)};
}

std::string mailbox_of(const uuid& room, const std::string& agent) {
  return std::string(mailbox_prefix) + child_name({room, agent});
}

std::optional<agent_name> agent_of(const std::string& mailbox) {
  if (!mailbox.starts_with(mailbox_prefix)) return std::nullopt;
  return agent_name_of(mailbox.substr(mailbox_prefix.size()));
}

} // namespace maru::actors
