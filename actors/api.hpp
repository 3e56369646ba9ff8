#pragma once

// Takes one request from outside to its end: whose it is, what is asked for, the reply. It keeps only what is
// under way. Who calls is told once: here, or when the last copy of `replied` goes.

#include <map>
#include <memory>
#include <optional>

#include "actors/services.hpp"

namespace maru::actors {

struct api_command {
  api::replied tell;
  uuid user;                  // whose actor it went through
  room_actor room;            // or straight to this one
  std::function<void()> lost; // the room fell; without it the caller is told so
};

// How a command of the operator to a room ended. `again`: it was sent more than once, for the room fell over
// it.
using room_told = std::function<void(api::reply how, bool again)>;

struct api_commit {
  api::replied tell;
  api::reply with; // once it is on disk
};

// Dead letters that are requeued or purged for somebody: one, or a page of them.
struct dead_round {
  person by;
  api::dead_act how = api::dead_act::requeue;
  std::optional<uuid> one;
  storage::dead_filter which;
  std::optional<std::uint64_t> before;
  api::replied tell;
  std::vector<storage::dead_letter> letters;
  std::size_t at = 0;
  std::uint32_t tries = 0;
  api::treated so_far;
  api::reply last; // of the one
};
using dead_round_ptr = std::shared_ptr<dead_round>;

struct dead_read {
  dead_round_ptr round;
  bool failed = false;
  std::vector<storage::dead_letter> letters;
};

struct entry_read {
  person by;
  api::replied tell;
  bool failed = false;
  std::optional<storage::mailbox_entry> entry;
};

using api_self = api_actor::extend<caf::reacts_to<dead_read>, caf::reacts_to<entry_read>>;

struct user_link {
  user_actor handle;
  std::size_t under_way = 0;
};

struct api_state {
  explicit api_state(api_self::stateful_pointer<api_state> self) : self(self) {}
  static inline const char* name = "api";

  api_self::stateful_pointer<api_state> self;
  shared_services svc;
  std::uint64_t next_ticket = 1;
  std::map<std::uint64_t, api_command> commands;
  std::map<std::uint64_t, api_commit> commits;
  std::map<std::uint64_t, dead_round_ptr> purges; // on their way to the disk
  std::map<uuid, user_link> users;

  void take(std::string& token, api::request& what, api::replied& tell);
  void serve(const identity& who, api::request& what, api::replied tell);
  void list_agents(const api::replied& tell) const;
  void list_rooms(const identity& who, const api::list_rooms& what, api::replied tell);
  void create_room(const identity& who, api::create_room& what, api::replied tell);
  void get_room(const identity& who, const api::get_room& what, api::replied tell);
  void get_events(const identity& who, const api::get_events& what, api::replied tell);
  void get_answer(const identity& who, const api::get_answer& what, api::replied tell);
  void list_scheduled(const identity& who, const api::list_scheduled& what, api::replied tell);
  template <class Command>
  void command(const identity& who, const uuid& room, Command what, api::replied tell);
  // api_admin.cpp: for administrators and the operator
  void administer(const person& by, api::request& what, api::replied tell);
  void list_users(const api::list_users& what, api::replied tell);
  void tree(api::replied tell);
  void tree_of(std::size_t at, std::string json, api::replied tell);
  // api_mailboxes.cpp: mailboxes, dead letters and their ways back
  bool mailboxes(const person& by, api::request& what, const api::replied& tell);
  void treat(dead_round round);
  void read_dead(const dead_round_ptr& round);
  void take_dead(dead_read& read);
  void take_entry(const entry_read& read);
  void purge(const dead_round_ptr& round);
  void requeue_next(const dead_round_ptr& round);
  void purged(const dead_round_ptr& round, const storage::outcome& how);
  void requeued(const dead_round_ptr& round, api::reply how, bool again);
  void purge_entry(const person& by, const api::purge_entry& what, const api::replied& tell);
  template <class Command>
  void tell_room(const uuid& room, Command what, const room_told& tell, std::uint32_t tries = 0);
  void finish(const dead_round_ptr& round);
  void hello(connection_ptr from, identity who, hello_in what, std::uint32_t tries);
  void done(command_done& how);
  void committed(const commit_done& done);
  void went_down(const caf::down_msg& down);
};

api_self::behavior_type api_service(api_self::stateful_pointer<api_state> self, shared_services svc);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::dead_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::entry_read)
