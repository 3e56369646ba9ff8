#pragma once

// One signed-in device: which rooms it has open, what it has sent and not yet been answered. Outlives a lost
// connection for limits::session_linger_ms. Invariant: per room, after each `opened`, a socket gets every
// durable event from `from` on once and in order: the replay from here, then the live frames from the relay.

#include <list>
#include <map>

#include "actors/services.hpp"

namespace maru::actors {

enum class session_wake : std::uint8_t { linger, open };
struct session_tick {
  session_wake why = session_wake::linger;
  std::uint64_t number = 0; // linger: which loss of the socket; open: which subscription
};

using session_self = session_actor::extend<caf::reacts_to<session_tick>>;

// One room open on this device. Each (re)opening gets a new number; what comes for an older one is dropped.
struct subscription {
  std::uint64_t number = 0;
  uuid room;
  std::optional<std::uint64_t> after; // as asked for, or where a fallen room left off; absent: the last few
  std::size_t credit = 0;             // bytes of the `open` frame, until it is answered
  bool owes = false;
  bool asked = false; // the room has not answered yet
  room_actor owner;
  room_snapshot snapshot;
  std::uint64_t next = 0; // first seq not yet replayed
};

struct sent_command {
  std::string id;
  uuid room;
  std::uint64_t connection = 0;
  std::size_t bytes = 0;
};

struct session_state {
  explicit session_state(session_self::stateful_pointer<session_state> self) : self(self) {}
  ~session_state();
  static inline const char* name = "session";

  session_self::stateful_pointer<session_state> self;
  shared_services svc;
  uuid id;
  identity who;
  bool known = false; // `who` is set
  connection_ptr socket;
  user_actor user;
  std::uint64_t losses = 0; // of the socket
  std::uint64_t next_number = 1;
  std::map<uuid, subscription> open_rooms;
  std::map<std::uint64_t, sent_command> sent;
  std::list<std::uint64_t> to_replay; // subscriptions with events to come
  bool page_under_way = false;
  std::uint64_t pages = 0;
  bool page_drains = false; // the socket has not written the last page yet
  bool joined = false;      // the user's actor counts this connection
  std::uint32_t joins = 0;  // tried for this connection
  bool welcomed = false;    // this connection

  [[nodiscard]] work_wait waits_for() const;
  void attach(socket_attached& what);
  void find_user();
  void join();
  void check_family();
  void welcome();
  void lose(std::uint64_t connection);
  void forget_rooms();
  void end(close_code why);
  void take(socket_frame& what);
  void open(const open_in& what, std::size_t bytes);
  void find_room(subscription& sub);
  void reopen(subscription& sub, std::optional<std::uint64_t> after, std::uint32_t in_ms);
  void start_watch(const watching& what);
  void start_replay(room_snapshot& what);
  void read_page();
  void replay(const replay_read& what);
  void finish_replay(subscription& sub);
  void drained(std::uint64_t connection);
  void close(const uuid& room);
  void send(send_in& what, std::size_t bytes);
  void stop(stop_in& what, std::size_t bytes);
  void retry(retry_in& what, std::size_t bytes);
  void done(const command_done& how);
  void refuse(const std::string& command, const refusal& why, std::size_t bytes);
  void went_down(const caf::down_msg& down);
  subscription* find(std::uint64_t number);
  [[nodiscard]] person by() const { return {who.user, who.display_name}; }
};

session_self::behavior_type session(session_self::stateful_pointer<session_state> self, shared_services svc,
                                    uuid id);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::session_tick)
