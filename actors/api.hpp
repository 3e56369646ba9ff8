#pragma once

// Takes one request from outside to its end: whose it is, what is asked for, the reply. It keeps only what is
// under way. Who calls is told once: here, or when the last copy of `replied` goes.

#include <map>

#include "actors/services.hpp"

namespace maru::actors {

struct api_command {
  api::replied tell;
  uuid user;
};

struct api_commit {
  api::replied tell;
  api::reply with; // once it is on disk
};

struct user_link {
  user_actor handle;
  std::size_t under_way = 0;
};

struct api_state {
  explicit api_state(api_actor::stateful_pointer<api_state> self) : self(self) {}
  static inline const char* name = "api";

  api_actor::stateful_pointer<api_state> self;
  shared_services svc;
  std::uint64_t next_ticket = 1;
  std::map<std::uint64_t, api_command> commands;
  std::map<std::uint64_t, api_commit> commits;
  std::map<uuid, user_link> users;

  void take(std::string& token, api::request& what, api::replied& tell);
  void serve(const identity& who, api::request& what, api::replied tell);
  void list_agents(const api::replied& tell) const;
  void list_rooms(const identity& who, const api::list_rooms& what, api::replied tell);
  void create_room(const identity& who, api::create_room& what, api::replied tell);
  void get_room(const identity& who, const api::get_room& what, api::replied tell);
  void get_events(const identity& who, const api::get_events& what, api::replied tell);
  template <class Command>
  void command(const identity& who, const uuid& room, Command what, api::replied tell);
  // api_admin.cpp: for administrators and the operator
  void administer(const person& by, api::request& what, api::replied tell);
  void list_users(const api::list_users& what, api::replied tell);
  void tree(api::replied tell);
  void tree_of(std::size_t at, std::string json, api::replied tell);
  void hello(connection_ptr from, identity who, hello_in what, std::uint32_t tries);
  void done(command_done& how);
  void committed(const commit_done& done);
  void went_down(const caf::down_msg& down);
};

api_actor::behavior_type api_service(api_actor::stateful_pointer<api_state> self, shared_services svc);

} // namespace maru::actors
