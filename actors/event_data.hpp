#pragma once

// The JSON payloads of durable events, written and read in one place.

#include <optional>
#include <string>
#include <vector>

#include "actors/messages.hpp"
#include "actors/scheduled.hpp"

namespace maru::actors::event_data {

// `of`: the turn of a scheduled message that it is.
std::string message(const post_message& what, const std::optional<uuid>& parent,
                    const std::vector<asked>& answers, const std::optional<turn>& of = {});
// What the room is told of a scheduled message that could not be sent, for ever.
std::string not_sent(const turn& what, const uuid& author, const std::string& name,
                     const std::string& reason);
std::string answered(const answer_fact& what, const finish_answer& how);
std::string failed(const answer_fact& what, const std::string& reason);
std::string stopped(const answer_fact& what);

std::string asked_list(const std::vector<asked>& answers); // a JSON array
std::vector<asked> parse_asked(const std::string& json);

// For lists: a long text is cut, and `cut` says so.
void shorten(std::string& data);

// `text` and, of answers, `agent`; empty where erased.
struct spoken {
  std::string text;
  std::string agent;
};
spoken read(const std::string& data);

} // namespace maru::actors::event_data
