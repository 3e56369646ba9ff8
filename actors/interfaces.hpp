#pragma once

// The typed interface of every actor, one line per message. Commands to rooms carry a ticket of the
// sender's and are answered by command_done with the same ticket; a sender monitors the room and sends
// again what was under way when it fell: commands are idempotent by their key.

#include <caf/typed_actor.hpp>

#include "actors/messages.hpp"

namespace maru::actors {

// Whoever commits.
using commit_client = caf::typed_actor<
    // The step is on disk, or refused; in the order of submission.
    caf::reacts_to<commit_done>>;

// Whoever sends commands to rooms.
using room_client = caf::typed_actor<
    // A command is on disk, or refused.
    caf::reacts_to<command_done>>;

// Whoever subscribes to rooms.
using room_subscriber = caf::typed_actor<
    // Where the subscriber starts from, or why it may not.
    caf::reacts_to<room_snapshot>>;

// STORE: the persistence layer; everything durable passes here.
using store_actor = caf::typed_actor<
    // Commits the step; commit_done with the ticket goes to the client from the store's thread.
    caf::reacts_to<storage::step, std::uint64_t, commit_client>,
    // Runs the job on a reader.
    caf::reacts_to<run_read>>;

// RELAY: one per node; hands the frames of rooms to the sockets that watch them.
using relay_client = caf::typed_actor<
    // What the socket had before; live frames are held back from now on.
    caf::reacts_to<watching>,
    // Held-back frames were too many or one was missing: open again.
    caf::reacts_to<watch_broken>>;

using relay_actor = caf::typed_actor<
    // Holds back the room's frames for the socket; the room is told when the last one leaves.
    caf::reacts_to<watch_room, relay_client>,
    // Lets them through.
    caf::reacts_to<go_live>,
    // The socket no longer watches the room.
    caf::reacts_to<unwatch_room>,
    // A person's socket; and it is closed.
    caf::reacts_to<socket_joined>, caf::reacts_to<socket_gone>,
    // A durable event of a room, and what those are told of it that have the room not open.
    caf::reacts_to<frame_head, event_fact, room_news>,
    // A new room, or some of its members have read more.
    caf::reacts_to<room_news>,
    // The state of an unfinished answer.
    caf::reacts_to<frame_head, answer_fact>,
    // More text of it.
    caf::reacts_to<frame_head, delta_fact>>;

// AGENT: one LLM agent in one room; works its mailbox in order.
using agent_actor = caf::typed_actor<
    // A question will be in the mailbox, or closed.
    caf::reacts_to<question_ordered>,
    // A question is in the mailbox.
    caf::reacts_to<question_enqueued>,
    // The sweeper found entries that are due: a wake-up may have been lost.
    caf::reacts_to<caf::atom_constant<caf::atom("due")>>,
    // The answer has ended, by whomever.
    caf::reacts_to<answer_closed>,
    // Its model call runs, waits, or has to be made elsewhere.
    caf::reacts_to<call_placed>,
    // From the model's stream.
    caf::reacts_to<call_pieces>, caf::reacts_to<call_ended>, caf::reacts_to<commit_done>>;

// ROOM: single writer of a room: orders, validates, commits, then tells.
using room_actor = caf::typed_actor<
    // Posts a message for a person; command_done to the client.
    caf::reacts_to<std::uint64_t, room_client, person, post_message>,
    // Orders the stop of an answer; command_done to the client.
    caf::reacts_to<std::uint64_t, room_client, person, stop_answer>,
    // Opens an answer anew for who asked; command_done to the client.
    caf::reacts_to<std::uint64_t, room_client, person, retry_answer>,
    // The same for the operator, out of the dead letters.
    caf::reacts_to<std::uint64_t, room_client, requeue_answer>,
    // Keeps a message for later, and drops it for its author or the room's owner; command_done to the client.
    caf::reacts_to<std::uint64_t, room_client, person, schedule_message>,
    caf::reacts_to<std::uint64_t, room_client, person, cancel_scheduled>,
    // The operator drops it, or takes it out of the dead letters.
    caf::reacts_to<std::uint64_t, room_client, cancel_scheduled>,
    caf::reacts_to<std::uint64_t, room_client, requeue_scheduled>,
    // The sweeper found that something in its mailbox is due.
    caf::reacts_to<caf::atom_constant<caf::atom("due")>>,
    // A person's device opens the room: room_snapshot to the subscriber, frames to the relay from then on.
    caf::reacts_to<std::uint64_t, room_subscriber, person, relay_actor>,
    // Nobody behind this relay watches any more.
    caf::reacts_to<relay_actor>,
    // What members have read behind this relay.
    caf::reacts_to<members_read, relay_actor>,
    // The agent goes on with an answer after the room was started again.
    caf::reacts_to<answer_resumed, agent_actor>,
    // An attempt begins.
    caf::reacts_to<answer_begun>,
    // Its call waits or runs.
    caf::reacts_to<call_told>,
    // Text of the running attempt.
    caf::reacts_to<pieces_made>,
    // Asks for the end; answer_closed to the agent.
    caf::reacts_to<finish_answer, agent_actor>, caf::reacts_to<commit_done>>;

// CALLERS: lets model calls run, each by a caller, or wait their turn.
using callers_actor = caf::typed_actor<
    // call_placed to the agent.
    caf::reacts_to<start_call, agent_actor>,
    // The agent does not want it any more, running or not.
    caf::reacts_to<cancel_call, agent_actor>,
    // From the caller.
    caf::reacts_to<call_over>>;

// SESSION: one signed-in device: its subscriptions; outlives a lost connection for a while.
using session_actor =
    caf::typed_actor<caf::reacts_to<socket_attached>, caf::reacts_to<socket_frame>,
                     caf::reacts_to<socket_drained>, caf::reacts_to<socket_gone>,
                     caf::reacts_to<command_done>, caf::reacts_to<room_snapshot>, caf::reacts_to<watching>,
                     caf::reacts_to<watch_broken>, caf::reacts_to<replay_read>,
                     // The sign-in is over: close the socket with this code.
                     caf::reacts_to<end_session>>;

// USER: one person: every command of theirs passes here, so their limits have one owner.
using user_actor = caf::typed_actor<
    // Checks the person's limits and passes the command on; command_done to the client.
    caf::reacts_to<std::uint64_t, room_client, person, uuid, post_message>,
    caf::reacts_to<std::uint64_t, room_client, person, uuid, stop_answer>,
    caf::reacts_to<std::uint64_t, room_client, person, uuid, retry_answer>,
    caf::reacts_to<std::uint64_t, room_client, person, uuid, schedule_message>,
    caf::reacts_to<std::uint64_t, room_client, person, uuid, cancel_scheduled>,
    // From rooms.
    caf::reacts_to<command_done>,
    // A device of this family connects: ok, or why not.
    caf::replies_to<session_actor, uuid>::with<refusal>,
    // The person has another name from now on.
    caf::reacts_to<std::string>,
    // The session has lost its connection.
    caf::reacts_to<session_actor>,
    // The family was revoked: its sessions end.
    caf::reacts_to<uuid>>;

// DIRECTORY: finds or activates the actor behind a name.
using directory_actor =
    caf::typed_actor<caf::replies_to<caf::atom_constant<caf::atom("room")>, uuid>::with<room_actor>,
                     caf::replies_to<caf::atom_constant<caf::atom("user")>, uuid>::with<user_actor>,
                     caf::replies_to<caf::atom_constant<caf::atom("session")>, uuid>::with<session_actor>,
                     caf::replies_to<agent_name>::with<agent_actor>,
                     // Entries of this agent, or this room, are due: it is told, and activated if need be.
                     caf::reacts_to<caf::atom_constant<caf::atom("due")>, agent_name>,
                     caf::reacts_to<caf::atom_constant<caf::atom("due")>, uuid>>;

using due_atom = caf::atom_constant<caf::atom("due")>;
using room_atom = caf::atom_constant<caf::atom("room")>;
using user_atom = caf::atom_constant<caf::atom("user")>;
using session_atom = caf::atom_constant<caf::atom("session")>;

// SUPERVISOR of actors that are started by name.
using nursery_actor = caf::typed_actor<
    // The living child of this name, or a new one; after a crash only once its backoff is over.
    caf::replies_to<std::string>::with<caf::strong_actor_ptr>,
    // Its part of the live tree.
    caf::replies_to<caf::atom_constant<caf::atom("tree")>>::with<nursery_health>,
    // How many live, and so many of them.
    caf::replies_to<caf::atom_constant<caf::atom("sample")>, std::uint64_t>::with<nursery_sample>>;

// Every actor of ours answers it with a probe_answer; see end_on_exception() and tells_of_work().
using probe_atom = caf::atom_constant<caf::atom("probe")>;
using sample_atom = caf::atom_constant<caf::atom("sample")>;
using children_atom = caf::atom_constant<caf::atom("children")>;
using tree_atom = caf::atom_constant<caf::atom("tree")>;

// ROOT supervisor.
using tree_actor = caf::typed_actor<
    // The children of the root.
    caf::replies_to<tree_atom>::with<root_health>,
    caf::replies_to<children_atom>::with<std::vector<named_actor>>>;

// ACCOUNTS: sign-up, login, token families, keys.
using accounts_actor = caf::typed_actor<
    // signup, login, refresh, logout (with the caller's access token, perhaps just expired), get_me,
    // change_me.
    caf::replies_to<std::string, api::request>::with<api::reply>,
    // add_user, change_user for an administrator, or for the operator, who has no id.
    caf::replies_to<person, api::request>::with<api::reply>,
    // Whom an access token belongs to: identity or refusal.
    caf::replies_to<std::string>::with<api::reply>,
    // Whether a family that was checked a moment ago still holds: nothing or refusal.
    caf::replies_to<uuid>::with<api::reply>>;

// OBSERVER: what everything is like just now, for who watches the server.
using observer_actor = caf::typed_actor<caf::reacts_to<observed>>;

// API: one request from outside at a time to its end.
using api_actor = caf::typed_actor<
    // The access token, what is asked for, and who is told.
    caf::reacts_to<std::string, api::request, api::replied>,
    // A socket said hello: finds its session.
    caf::reacts_to<connection_ptr, identity, hello_in>, caf::reacts_to<command_done>,
    caf::reacts_to<commit_done>>;

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<maru::actors::named_actor>)
