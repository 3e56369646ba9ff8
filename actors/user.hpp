#pragma once

// One person. Every command of theirs passes here, so that their limits have one owner and what was under way
// when a room fell is sent again from one place.

#include <list>
#include <map>

#include "actors/services.hpp"

namespace maru::actors {

struct waiting_read {
  bool failed = false;
  std::uint32_t count = 0;
};
struct user_tick {
  bool rooms = false; // ask for fallen rooms again; otherwise: idle?
};

using user_self = user_actor::extend<caf::reacts_to<waiting_read>, caf::reacts_to<user_tick>>;

struct user_command {
  std::uint64_t ticket = 0; // the client's
  room_client client;
  person by;
  uuid room;
  std::variant<post_message, stop_answer, retry_answer, schedule_message, cancel_scheduled> what;
  bool question = false;
};

struct room_link {
  room_actor handle;
  bool asking = false;
  std::list<std::uint64_t> tickets; // under way, in order
};

struct user_state {
  explicit user_state(user_self::stateful_pointer<user_state> self) : self(self) {}
  static inline const char* name = "user";

  user_self::stateful_pointer<user_state> self;
  shared_services svc;
  uuid id;

  std::uint64_t next_ticket = 1;
  std::map<std::uint64_t, user_command> under_way;
  std::map<uuid, room_link> rooms;

  bool counted = false, counting = false;
  std::uint64_t counts = 0, rooms_found = 0;
  std::uint32_t waiting = 0; // questions without all their answers, never less than there are
  std::uint32_t questions_under_way = 0;
  std::list<user_command> held; // until it is known how many wait; empty it takes no memory

  std::string renamed; // "": the name that a command brings still holds
  double tokens = 0;   // of the message rate
  std::int64_t tokens_at = 0;

  struct device {
    session_actor session;
    uuid family;
  };
  std::vector<device> devices;
  std::uint64_t busy = 0, busy_seen = 0;
  bool tick_set = false; // not while there are devices: they keep it

  void start();
  [[nodiscard]] work_wait waits_for() const;
  void command(user_command what);
  bool within_rate();
  void admit();
  void count_waiting();
  void take_count(const waiting_read& read);
  void forward(user_command what);
  void send(const room_link& link, std::uint64_t ticket);
  void find_room(const uuid& room);
  void done(command_done& how);
  void refuse(const user_command& what, refusal why);
  void went_down(const caf::down_msg& down);
  refusal join(const session_actor& session, const uuid& family);
  void leave(const session_actor& session);
  void revoke(const uuid& family);
  void tick(const user_tick& t);
  void tick_later();
};

user_self::behavior_type user(user_self::stateful_pointer<user_state> self, shared_services svc, uuid id);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::waiting_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::user_tick)
