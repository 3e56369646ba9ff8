#pragma once

#include <string>

#include "actors/wire.hpp"
#include "net/json_out.hpp"

// The bodies of HTTP replies.
namespace maru::net {

std::string to_json(const actors::api::signed_in& what);
std::string to_json(const actors::api::profile& what);
std::string to_json(const actors::api::user_view& what);
std::string to_json(const actors::api::users_view& what);
std::string to_json(const actors::api::agents_view& what);
std::string to_json(const actors::api::room_view& what);
std::string to_json(const actors::api::rooms_view& what);
void room_fields(object& to, std::string& out, const actors::api::room_view& what);
std::string to_json(const uuid& room, const actors::api::events_view& what);
std::string to_json(const actors::api::posted& what);
std::string to_json(const actors::api::answer_view& what);
std::string scheduled_json(const actors::api::posted& what); // what is posted later
std::string to_json(const actors::api::scheduled_view& what);
std::string to_json(const actors::api::mailboxes_view& what);
std::string to_json(const actors::api::entries_view& what);
std::string to_json(const actors::api::dead_list_view& what);
std::string to_json(const actors::api::dead_view& what);
std::string to_json(const actors::api::treated& what);

} // namespace maru::net
