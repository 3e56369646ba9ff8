#pragma once

// The border between actors and sockets, in plain C++: net/ implements `connection` and `frame_codec`,
// actors/ implements `session_port` and `front`. Nothing here blocks.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/attempts.hpp"
#include "actors/facts.hpp"
#include "base/codes.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "storage/rows.hpp"

namespace maru::actors {

// --- out -----------------------------------------------------------------------------------------------

// One text frame, serialised once and shared by all who receive it.
struct frame {
  std::string bytes;               // JSON
  uuid room;                       // of `delta`
  std::optional<delta_fact> delta; // lets an outbox merge what waits
  std::uint64_t seq = 0;           // of a durable event, else 0
  code refused = code::ok;         // of an `error`
};
using frame_ptr = std::shared_ptr<const frame>;

// A WebSocket or an event stream as actors see it. All calls are thread-safe and return at once; after
// close() they do nothing.
class connection {
public:
  virtual ~connection() = default;
  virtual void push(frame_ptr out) = 0;
  // As push, for the ack or error of a command: gives `bytes` and one command back to the credit window.
  virtual void answer(frame_ptr out, std::size_t bytes) = 0;
  virtual void close(close_code why) = 0;
  // The session that frames go to from now on; frames read before are held back until then.
  virtual void attach(std::shared_ptr<class session_port> to) = 0;
  // Calls session_port::drained() once when less than limits::outbox_low_bytes wait; at once if that holds
  // now.
  virtual void tell_when_drained() = 0;
  [[nodiscard]] virtual std::uint64_t id() const = 0; // unique in the process
  // Whether this device may continue its session on another connection; else that ends with this one.
  [[nodiscard]] virtual bool may_continue() const { return true; }
};
using connection_ptr = std::shared_ptr<connection>;

struct welcome_frame {
  uuid session;
  uuid user;
  std::string username, display_name;
};

struct ack_frame {
  std::string id;
  uuid room;
  std::uint64_t seq = 0;
  uuid event;
  bool duplicate = false;
  std::vector<asked> answers;
};

struct opened_frame {
  uuid room;
  std::uint64_t head = 0, from = 0, floor = 1;
  std::vector<answer_fact> answers;
};

namespace api {
struct room_view;
}

// Facts into frames. Stateless; called on actor threads.
class frame_codec {
public:
  virtual ~frame_codec() = default;
  [[nodiscard]] virtual frame_ptr welcome(const welcome_frame&) const = 0;
  [[nodiscard]] virtual frame_ptr opened(const opened_frame&) const = 0;
  [[nodiscard]] virtual frame_ptr ack(const ack_frame&) const = 0;
  [[nodiscard]] virtual frame_ptr error(const std::string& id, const refusal& why) const = 0; // id "" none
  [[nodiscard]] virtual frame_ptr event(const uuid& room, const event_fact&) const = 0;
  [[nodiscard]] virtual frame_ptr answer(const uuid& room, const answer_fact&) const = 0;
  [[nodiscard]] virtual frame_ptr delta(const uuid& room, const delta_fact&) const = 0;
  [[nodiscard]] virtual frame_ptr room(const api::room_view&) const = 0;
};

// --- in: frames ----------------------------------------------------------------------------------------

struct hello_in {
  std::optional<uuid> session;
  std::string client;
};
struct open_in {
  uuid room;
  std::optional<std::uint64_t> after;
};
struct close_in {
  uuid room;
};
enum class parent_rule : std::uint8_t { newest, root, given };
struct send_in {
  std::string id; // as the client wrote it
  uuid key;       // the same, parsed
  uuid room;
  std::string text;
  std::optional<std::vector<std::string>> agents;
  parent_rule parent_is = parent_rule::newest;
  uuid parent;
  std::optional<uuid> reply_to;
};
struct stop_in {
  std::string id;
  uuid key;
  uuid room;
  uuid answer;
};
struct retry_in {
  std::string id;
  uuid key;
  uuid room;
  uuid answer;
};
// What is to be posted later: once at `at`, or again and again as a crontab line says in its time zone.
struct schedule_in {
  std::string id;
  uuid key;
  uuid room;
  std::string text;
  std::optional<std::vector<std::string>> agents;
  std::optional<std::int64_t> at; // unix ms
  std::string cron, zone;
};
using frame_in = std::variant<open_in, close_in, send_in, stop_in, retry_in>;

class session_port {
public:
  virtual ~session_port() = default;
  // `bytes`: what the frame took of the credit window; given back by connection::answer. open and close are
  // answered, too (opened or error; close silently by a null frame).
  virtual void take(std::uint64_t connection, frame_in in, std::size_t bytes) = 0;
  virtual void drained(std::uint64_t connection) = 0;
  virtual void gone(std::uint64_t connection) = 0; // the socket is closed
};

// --- in: calls -----------------------------------------------------------------------------------------

struct identity {
  uuid user;
  uuid family;
  std::string username, display_name, role;
};

namespace api {

struct signup {
  std::string username, password, display_name;
};
struct login {
  std::string username, password;
};
struct refresh {
  std::string refresh_token, nonce;
};
struct logout {
  std::string refresh_token;
}; // or the caller's access token, even just expired
struct identify {}; // who the token belongs to
struct get_me {};
struct change_me {
  std::optional<std::string> display_name, settings; // settings: a JSON object
  std::optional<std::string> password, new_password; // the current one proves the change
};
struct list_agents {};
struct list_rooms {
  std::optional<std::string> cursor;
  std::size_t limit = 50;
};
struct create_room {
  std::string title;
  std::optional<std::vector<std::string>> agents;
};
struct get_room {
  uuid room;
};
struct get_events {
  uuid room;
  std::optional<std::uint64_t> after, before;
  std::size_t limit = 100;
};
struct get_answer {
  uuid room, answer;
};
using post_message = send_in;
using stop_answer = stop_in;
using retry_answer = retry_in;
using schedule_message = schedule_in;
struct list_scheduled {
  uuid room;
};
struct cancel_scheduled {
  uuid room;
  uuid schedule;
};

// For administrators, and for the operator of this machine.
struct get_tree {};    // the live supervision tree
struct may_observe {}; // nothing, or why this token does not open what watches the server
struct list_users {
  std::optional<std::string> cursor, username;
  std::size_t limit = 50;
};
struct add_user {
  std::string username, password, display_name, role;
};
struct change_user {
  uuid user;
  std::optional<std::string> role, display_name, new_password;
};

// The mailboxes that are kept, and what was given up of them.
struct list_mailboxes {
  std::optional<std::string> cursor;
  std::size_t limit = 50;
};
struct list_entries {
  std::string mailbox;
  std::optional<std::string> cursor;
  std::size_t limit = 50;
};
struct list_dead {
  storage::dead_filter which;
  std::optional<std::string> cursor;
  std::size_t limit = 50;
};
struct get_dead {
  uuid id;
};
enum class dead_act : std::uint8_t { requeue, purge };
struct treat_dead {
  dead_act how = dead_act::requeue;
  uuid id;
};
// An entry that waits for its time: it is dropped.
struct purge_entry {
  uuid id;
};
// Of those below the cursor at most limits::dead_treated at once, the newest first.
struct treat_all_dead {
  dead_act how = dead_act::requeue;
  storage::dead_filter which;
  std::optional<std::string> cursor;
};

using request = std::variant<signup, login, refresh, logout, identify, get_me, change_me, list_agents,
                             list_rooms, create_room, get_room, get_events, post_message, stop_answer,
                             retry_answer, get_answer, schedule_message, list_scheduled, cancel_scheduled,
                             get_tree, may_observe, list_users, add_user, change_user, list_mailboxes,
                             list_entries, purge_entry, list_dead, get_dead, treat_dead, treat_all_dead>;

struct nothing {};
struct person_view {
  uuid id;
  std::string username, display_name, role;
  std::string settings; // a JSON object, the client's own
  std::int64_t created_at = 0;
};
struct signed_in {
  person_view user;
  std::string access_token;
  std::uint32_t expires_in = 0; // seconds
  std::string refresh_token;
};
struct profile {
  person_view user;
};
struct user_view {
  storage::account_summary user;
};
struct users_view {
  std::vector<storage::account_summary> users;
  std::string next; // cursor, "" at the end
};
struct agent_view {
  std::string name, model;
};
struct agents_view {
  std::vector<agent_view> agents;
};
struct room_view {
  storage::room_row room;
  std::optional<event_fact> last; // shortened
  std::uint64_t unread = 0;
  std::uint32_t members = 0;
  std::uint64_t read = 0; // the newest event that this person has
};
struct rooms_view {
  std::vector<room_view> rooms;
  std::string next;
}; // next: cursor, "" at the end
struct events_view {
  std::vector<event_fact> events;
  std::uint64_t head = 0, floor = 1;
};
struct posted {
  uuid event;
  std::uint64_t seq = 0;
  bool duplicate = false;
  std::vector<asked> answers;
};
// An answer, with what was spent on it: a line for each attempt that is over, see attempts.hpp.
struct answer_view {
  storage::answer_end how;
  std::vector<attempt_cost> attempts;
};
// Something that will be posted.
struct scheduled_item {
  uuid id;
  uuid author;
  std::string name; // of the author; "" gone
  std::string text;
  bool cut = false; // a long text is, in a list
  std::optional<std::vector<std::string>> agents;
  std::int64_t at = 0; // its next turn
  std::string cron, zone;
  std::int64_t created_at = 0;
};
struct scheduled_view {
  std::vector<scheduled_item> items;
};
struct tree_view {
  std::string json;
};
struct mailboxes_view {
  std::vector<storage::mailbox_summary> mailboxes;
  std::string next;
};
struct entries_view {
  std::vector<storage::mailbox_entry> entries;
  std::string next;
};
// A dead letter, and the answer it was for where it is a question's.
struct dead_view {
  storage::dead_letter letter;
  std::optional<storage::answer_row> answer;
};
struct dead_list_view {
  std::vector<storage::dead_letter> letters;
  std::string next;
};
struct not_treated {
  uuid id;
  refusal why;
};
struct treated {
  std::uint64_t done = 0;
  std::vector<not_treated> refused;
  std::string next;
};

using reply = std::variant<refusal, nothing, signed_in, profile, identity, agents_view, room_view, rooms_view,
                           events_view, posted, answer_view, scheduled_view, tree_view, user_view, users_view,
                           mailboxes_view, entries_view, dead_view, dead_list_view, treated>;
using replied = std::function<void(reply)>; // called once, on a thread that must not be held

} // namespace api

// Called once, on a thread that must not be held; with nothing when there is nobody who knows.
using observed = std::function<void(std::vector<reading>)>;

// The way in from the sockets. Thread-safe.
class front {
public:
  virtual ~front() = default;
  virtual void call(std::string access_token, api::request what, api::replied tell) = 0;
  // A socket whose token was accepted said hello. Ends in connection::attach and a `welcome`, or in close().
  virtual void hello(connection_ptr from, identity who, hello_in hello) = 0;
  // What an operator watches, as it is now.
  virtual void observe(observed tell) = 0;
  [[nodiscard]] virtual bool ready() const = 0;
  // Ready, but the disk takes no writes: reads go on.
  [[nodiscard]] virtual bool degraded() const = 0;
};

} // namespace maru::actors
