#pragma once

// Every message between actors. Commands are verbs, facts are past participles. What may cross a node
// has an inspector; what carries a handle of this process (a socket, a function) is marked local.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_control_block.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/typed_actor.hpp>

#include "actors/call_wish.hpp"
#include "actors/facts.hpp"
#include "actors/roster.hpp"
#include "actors/wire.hpp"
#include "base/codes.hpp"
#include "base/uuid.hpp"
#include "llm/provider.hpp"
#include "storage/store.hpp"

namespace maru::storage {

template <class I>
auto inspect(I& f, read_mark& x) {
  return f(x.account, x.seq);
}
template <class I>
auto inspect(I& f, room_row& x) {
  return f(x.id, x.title, x.agents, x.created_by, x.created_at, x.head, x.floor, x.active_at);
}

} // namespace maru::storage

namespace maru::actors {

struct cancel_call {
  std::uint64_t call = 0;
};

// CALLER: runs one model stream; what it yields goes to the agent. Ends with it.
using caller_actor = caf::typed_actor<caf::reacts_to<cancel_call>>;

// --- between nodes -------------------------------------------------------------------------------------

// All that travels between nodes: CAF inspectors are positional, so two versions talk through this.
struct envelope {
  std::uint16_t version = 1;
  std::string kind;
  std::string bytes;
};

template <class I>
auto inspect(I& f, envelope& x) {
  return f(x.version, x.kind, x.bytes);
}

// --- commands to a room --------------------------------------------------------------------------------

struct person {
  uuid id;
  std::string name;
};

struct post_message {
  std::string id; // as the client wrote it
  uuid key;
  std::string text;
  bool ask_room = true; // the room's agents; otherwise `agents`
  std::vector<std::string> agents;
  parent_rule parent_is = parent_rule::newest;
  uuid parent;
  bool has_reply_to = false;
  uuid reply_to;
  // A limit was met before it was known whether this was taken already: how a new one is refused, and how one
  // that asks an agent is.
  refusal if_new, if_asking;
};

struct stop_answer {
  std::string id;
  uuid key;
  uuid answer;
};

// Asks for an answer anew that failed or was stopped.
struct retry_answer {
  std::string id;
  uuid key;
  uuid answer;
  refusal if_new, if_asking; // as of a message
};

// The same, for the operator: an answer whose question is among the dead letters.
struct requeue_answer {
  uuid answer;
};

// To be posted later, in the name of whoever sends this.
struct schedule_message {
  std::string id;
  uuid key;
  std::string text;
  bool ask_room = true;
  std::vector<std::string> agents;
  std::int64_t at = 0; // unix ms; 0: as `cron` says
  std::string cron, zone;
  refusal if_new; // as of a message
};

struct cancel_scheduled {
  uuid schedule;
};

// Out of the dead letters, for the operator: it is due at once.
struct requeue_scheduled {
  uuid schedule;
};

// How a command ended. Sent once it is on disk, or refused.
struct command_done {
  std::uint64_t ticket = 0;
  refusal why;
  std::uint64_t seq = 0;
  uuid event;
  bool duplicate = false;
  std::vector<asked> answers;
};

// What a subscriber starts from. `frame` numbers the room's frames within one life of it:
// live frames above it follow.
struct room_snapshot {
  std::uint64_t ticket = 0;
  refusal why;
  uuid room;
  std::uint64_t head = 0;
  std::uint64_t floor = 1;
  std::uint64_t life = 0;
  std::uint64_t frame = 0;
  std::vector<answer_fact> answers;
};

template <class I>
auto inspect(I& f, person& x) {
  return f(x.id, x.name);
}
template <class I>
auto inspect(I& f, post_message& x) {
  return f(x.id, x.key, x.text, x.ask_room, x.agents, x.parent_is, x.parent, x.has_reply_to, x.reply_to,
           x.if_new, x.if_asking);
}
template <class I>
auto inspect(I& f, stop_answer& x) {
  return f(x.id, x.key, x.answer);
}
template <class I>
auto inspect(I& f, retry_answer& x) {
  return f(x.id, x.key, x.answer, x.if_new, x.if_asking);
}
template <class I>
auto inspect(I& f, requeue_answer& x) {
  return f(x.answer);
}
template <class I>
auto inspect(I& f, schedule_message& x) {
  return f(x.id, x.key, x.text, x.ask_room, x.agents, x.at, x.cron, x.zone, x.if_new);
}
template <class I>
auto inspect(I& f, cancel_scheduled& x) {
  return f(x.schedule);
}
template <class I>
auto inspect(I& f, requeue_scheduled& x) {
  return f(x.schedule);
}
template <class I>
auto inspect(I& f, command_done& x) {
  return f(x.ticket, x.why, x.seq, x.event, x.duplicate, x.answers);
}
template <class I>
auto inspect(I& f, room_snapshot& x) {
  return f(x.ticket, x.why, x.room, x.head, x.floor, x.life, x.frame, x.answers);
}

// --- frames of a room ----------------------------------------------------------------------------------

struct frame_head {
  uuid room;
  std::uint64_t life = 0;
  std::uint64_t frame = 0; // contiguous within a life
};

template <class I>
auto inspect(I& f, frame_head& x) {
  return f(x.room, x.life, x.frame);
}

// What a list shows of a room, for those of its members that are named, each with what they have read.
struct room_news {
  storage::room_row row;
  event_fact last; // seq 0: none
  std::uint32_t members = 0;
  roster readers;
};

// Events that came to open sockets, by person.
struct members_read {
  uuid room;
  roster marks;
  bool ended = false; // a watch has: to be kept now
  bool tell = false;  // there are sockets here that do not watch: room_news to this relay, too
};

template <class I>
auto inspect(I& f, room_news& x) {
  return f(x.row, x.last, x.members, x.readers);
}
template <class I>
auto inspect(I& f, members_read& x) {
  return f(x.room, x.marks, x.ended, x.tell);
}

// --- between a room and its agents ---------------------------------------------------------------------

// Wakes an agent; a copy of the row in its mailbox.
struct question_enqueued {
  uuid answer;
  uuid question;
  std::uint32_t attempt = 0;   // 0: not begun
  bool fresh = true;           // just committed; otherwise the agent reads its mailbox if it does not know it
  std::int64_t expires_at = 0; // 0: never
  uuid asker;
};

// A question on its way to the disk: an idle agent may call its model, and tells nothing before it is
// enqueued. Refused, it is closed.
struct question_ordered {
  uuid answer;
  uuid question;
  uuid asker;
  bool has_parent = false; // otherwise the text is all there is
  uuid parent;
  std::string text;
};

// What an agent tells its room of the answer it works on. `text` is all of it so far.
struct answer_resumed {
  answer_fact so_far;
};

struct answer_begun {
  uuid answer;
  std::uint32_t attempt = 1;
  answer_state state = answer_state::thinking;
  std::uint64_t n = 0;
  std::string text; // the base of the attempt
};

// Its call waits, or runs.
struct call_told {
  uuid answer;
  std::uint32_t attempt = 1;
  std::uint32_t position = 0; // how many come before it, itself counted; 0: it runs
  std::string provider;
  std::uint64_t prompt_tokens = 0; // estimated
};

struct pieces_made {
  uuid answer;
  std::uint32_t attempt = 1;
  std::uint64_t n = 0; // the last piece of these
  std::uint32_t count = 1;
  std::string text;
};

enum class ending : std::uint8_t { answered, failed };

// Asks the room to order the end. The room answers with answer_closed, whoever came first.
struct finish_answer {
  uuid answer;
  std::uint32_t attempt = 1;
  ending how = ending::answered;
  std::string text;
  std::string model, finish; // answered
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  bool usage_estimated = true;
  std::string reason; // failed: a code
  std::string bury;   // the entry goes to the dead letters, with this reason; "": it does not
  std::string spent;  // on attempts that are not on record yet; see attempts.hpp
};

struct answer_closed {
  uuid answer;
};

template <class I>
auto inspect(I& f, question_enqueued& x) {
  return f(x.answer, x.question, x.attempt, x.fresh, x.expires_at, x.asker);
}
template <class I>
auto inspect(I& f, question_ordered& x) {
  return f(x.answer, x.question, x.asker, x.has_parent, x.parent, x.text);
}
template <class I>
auto inspect(I& f, answer_resumed& x) {
  return f(x.so_far);
}
template <class I>
auto inspect(I& f, answer_begun& x) {
  return f(x.answer, x.attempt, x.state, x.n, x.text);
}
template <class I>
auto inspect(I& f, call_told& x) {
  return f(x.answer, x.attempt, x.position, x.provider, x.prompt_tokens);
}
template <class I>
auto inspect(I& f, pieces_made& x) {
  return f(x.answer, x.attempt, x.n, x.count, x.text);
}
template <class I>
auto inspect(I& f, finish_answer& x) {
  return f(x.answer, x.attempt, x.how, x.text, x.model, x.finish, x.prompt_tokens, x.completion_tokens,
           x.usage_estimated, x.reason, x.bury, x.spent);
}
template <class I>
auto inspect(I& f, answer_closed& x) {
  return f(x.answer);
}

// --- model calls ---------------------------------------------------------------------------------------

struct start_call {
  std::uint64_t call = 0; // the agent's number for it
  call_wish wish;
  llm::request what;
};
// What became of it: it runs; or waits, at this place, told again when that changes; or its provider is left
// alone just now and the agent has another.
struct call_placed {
  std::uint64_t call = 0;
  caller_actor caller;        // runs
  std::uint32_t position = 0; // waits
  bool elsewhere = false;
};

// From its caller.
struct call_over {
  std::uint64_t number = 0;
  call_health how = call_health::unknown;
  bool ended = true; // otherwise it has begun to speak
};
struct call_pieces {
  std::uint64_t call = 0;
  std::vector<std::string> pieces;
};
struct call_ended {
  std::uint64_t call = 0;
  llm::outcome how;
};

// --- store ---------------------------------------------------------------------------------------------

struct commit_done {
  std::uint64_t ticket = 0;
  storage::outcome how;
};
struct run_read {
  storage::read_job job; // runs on a reader thread: captures values and handles only
  storage::read_failed failed;
  std::optional<storage::fence> behind; // not before the commits that were sent for this owner until now
};

// --- sessions ------------------------------------------------------------------------------------------

struct socket_attached {
  connection_ptr socket;
  identity who;
  std::string client;
};
struct socket_frame {
  std::uint64_t connection = 0;
  frame_in in;
  std::size_t bytes = 0;
};
struct socket_drained {
  std::uint64_t connection = 0;
};
struct socket_gone {
  std::uint64_t connection = 0;
};
struct replay_read {
  std::uint64_t subscription = 0; // which open of which room asked
  bool failed = false;
  std::vector<storage::event_row> events;
};
struct end_session {
  close_code why = close_code::token_refused;
};

// --- relay ---------------------------------------------------------------------------------------------

// From now on this socket is one of the person's. `lists`: it is told of their rooms that it does not watch.
struct socket_joined {
  connection_ptr socket;
  uuid user;
  bool lists = true;
};
// Begins to hold back the live frames of a room for a socket until go_live. The reply is `watching`.
struct watch_room {
  uuid room;
  std::uint64_t subscription = 0;
  connection_ptr socket;
  caf::strong_actor_ptr owner; // the room's actor
  bool again = false;          // the same subscription after a fallen room: `watching` tells how far it was
};
struct watching {
  std::uint64_t subscription = 0;
  std::uint64_t seq = 0; // newest event let through to this socket before; 0: none
};
// The replay up to the snapshot is out: let through what is above it.
struct go_live {
  uuid room;
  std::uint64_t subscription = 0;
  std::uint64_t connection = 0;
  std::uint64_t life = 0;
  std::uint64_t frame = 0;
  std::uint64_t head = 0; // of the snapshot
};
// What waited was more than may wait, or a frame was missing: open again after `seq`.
struct watch_broken {
  std::uint64_t subscription = 0;
  std::uint64_t seq = 0;
};
struct unwatch_room {
  uuid room;
  std::uint64_t connection = 0;
};
// --- names and life ------------------------------------------------------------------------------------

struct agent_name {
  uuid room;
  std::string agent;
};
// What an actor's oldest piece of work waits for, told to whoever probes it.
struct work_wait {
  std::string_view on;     // a word that lives for ever; "": for nothing, or for what has its own bound
  std::uint64_t piece = 0; // another one as soon as that has gone on
  bool of_others = false;  // another actor owes it, which is judged first
};
struct probe_answer {
  std::uint64_t messages = 0; // in the mailbox
  std::uint64_t requests = 0; // not answered yet
  work_wait work;
};
enum class child_state : std::uint8_t { running, stopping, backing_off, down };
struct child_health {
  std::string name;
  child_state state = child_state::down;
  std::uint32_t restarts = 0, recent = 0; // in all, and within the period
  std::string last_error;
  std::int64_t last_error_at = 0; // 0: never
  std::uint64_t messages = 0;     // in the mailbox, as last seen
  std::int64_t waited_ms = 0;     // how long the probe behind them waited, or waits
  std::string waits_for;          // "": its work goes on
  std::int64_t work_waits_ms = 0;
};
struct root_health {
  std::uint32_t restarts_most = 0, period_seconds = 0; // of each child
  std::vector<child_health> children;
};
struct nursery_health {
  std::uint64_t living = 0, backing_off = 0;
  std::uint64_t crashed = 0; // different ones, within the period
  std::uint32_t crashed_most = 0, period_seconds = 0;
  std::vector<child_health> children; // the troubled first
};
struct named_actor {
  std::string name;
  caf::strong_actor_ptr who; // null: down
};
struct nursery_sample {
  std::uint64_t alive = 0;
  std::vector<caf::strong_actor_ptr> some; // others each time
};

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::start_call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::call_placed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::call_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::call_pieces)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::call_ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::cancel_call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::commit_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::run_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::storage::step)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::socket_attached)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::socket_frame)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::socket_drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::socket_gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::replay_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::end_session)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::socket_joined)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::watch_room)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::watching)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::go_live)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::watch_broken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::unwatch_room)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::agent_name)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::probe_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::root_health)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::nursery_health)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::nursery_sample)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::observed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::identity)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::connection_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::hello_in)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::api::request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::api::reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::api::replied)
