#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "actors/wire.hpp"
#include "base/result.hpp"
#include "net/url.hpp"

// From bytes of strangers to requests and frames. What comes out is complete, typed and within its bounds.
namespace maru::net {

struct ping_in {
  std::string t; // JSON; "" none
};
using client_frame = std::variant<actors::hello_in, ping_in, actors::frame_in>;

struct refused_frame {
  std::string id; // the frame's own, when it had one
  refusal why;
};

std::variant<client_frame, refused_frame> decode_frame(std::string_view text);

// Bodies of HTTP requests. An empty one counts as {} where every field is optional.
result<actors::api::signup> decode_signup(std::string_view body);
result<actors::api::login> decode_login(std::string_view body);
result<actors::api::refresh> decode_refresh(std::string_view body, std::string_view cookie);
result<actors::api::logout> decode_logout(std::string_view body, std::string_view cookie);
result<actors::api::change_me> decode_change_me(std::string_view body);
result<actors::api::add_user> decode_add_user(std::string_view body);
result<actors::api::change_user> decode_change_user(const uuid& user, std::string_view body);
result<actors::api::create_room> decode_create_room(std::string_view body);
result<actors::api::post_message> decode_post_message(const uuid& room, std::string_view body);
result<actors::api::stop_answer> decode_stop_answer(const uuid& room, const uuid& answer,
                                                    std::string_view body);
result<actors::api::retry_answer> decode_retry_answer(const uuid& room, const uuid& answer,
                                                      std::string_view body);
result<actors::api::schedule_message> decode_schedule(const uuid& room, std::string_view body);
result<actors::api::treat_all_dead> decode_treat_all_dead(actors::api::dead_act how, std::string_view body);

// Queries.
result<actors::api::list_mailboxes> decode_list_mailboxes(const target& from);
result<actors::api::list_entries> decode_list_entries(const target& from);
result<actors::api::list_dead> decode_list_dead(const target& from);
result<actors::api::list_users> decode_list_users(const target& from);
result<actors::api::list_rooms> decode_list_rooms(const target& from);
result<actors::api::get_events> decode_get_events(const uuid& room, const target& from);
// `last_event_id`: of the header, which wins over `after`; "" none.
result<actors::open_in> decode_get_stream(const uuid& room, const target& from,
                                          const std::string& last_event_id);

} // namespace maru::net
