#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.hpp"

// What the store keeps, as values. Times are unix milliseconds.
namespace maru::storage {

inline constexpr std::uint32_t shard_count = 256;

// Which shard owns a room, user or agent; the same on every node.
std::uint32_t shard_of(const uuid& id);

// The right to commit: the owner's epoch of a shard. A commit under an older one is refused.
struct fence {
  std::uint32_t shard = 0;
  std::uint64_t epoch = 0;
};

struct author_row {
  std::string kind; // user | agent | system
  uuid id;          // nil for agents and the system
  std::string name;
};

// Stands in the `data` of a message that was scheduled, and in no text: its author need not have been there.
inline constexpr std::string_view scheduled_mark = R"("scheduled":{)";

struct event_row {
  uuid room;
  std::uint64_t seq = 0;
  uuid id;
  std::string kind;
  std::int64_t at = 0;
  author_row author;
  std::optional<uuid> parent;
  std::optional<uuid> reply_to;
  std::string data; // JSON object, as the wire carries it; "{\"erased\":true}" once erased
};

// One command a room has taken, kept for ever: what a resend is answered with.
struct command_row {
  uuid room;
  uuid author;
  uuid id;
  std::string mark; // what it says, short: a resend has the same
  std::uint64_t seq = 0;
  uuid event;
  std::string answers; // JSON array [{"answer","agent"}]
};

struct answer_row {
  uuid id;
  uuid room;
  uuid question; // event id of the message
  std::uint64_t question_seq = 0;
  std::string agent;
  uuid asker;
  std::uint32_t attempt = 0; // 0: not begun
  std::uint32_t provider_failures = 0;
  std::optional<std::uint64_t> end_seq;
  std::optional<uuid> end_event;
  std::string spent{}; // what its attempts cost: a line for each that is over
};

struct mailbox_entry {
  std::string mailbox;
  std::uint64_t seq = 0; // given by the store, grows within a mailbox
  uuid id;
  std::string kind;
  std::string body; // JSON
  std::int64_t enqueued_at = 0;
  std::int64_t visible_at = 0;
  std::optional<std::int64_t> expires_at;
  std::uint32_t failures = 0; // killed its actor
  std::uint32_t losses = 0;   // was lost with a process or a node
  std::optional<uuid> owner;  // whose bound it counts to; absent: nobody's
};

// All of an entry but what it says.
struct entry_head {
  uuid id;
  std::optional<uuid> owner;
  std::int64_t visible_at = 0;
};

struct dead_letter {
  mailbox_entry entry;
  std::string reason;
  std::int64_t at = 0;
  std::uint64_t number = 0; // given by the store, grows with each that is buried
};

// Which dead letters; what is absent, any.
struct dead_filter {
  std::optional<std::string> mailbox, reason;
};

struct mailbox_summary {
  std::string mailbox;
  std::uint64_t depth = 0;
  std::int64_t oldest_at = 0; // when its oldest entry was enqueued
  std::int64_t due_at = 0;    // when the first of them is, or was, visible
};

// An answer with the kind of the event that ended it; "" unfinished.
struct answer_end {
  answer_row row;
  std::string kind;
};

struct checkpoint_row {
  uuid answer;
  std::uint32_t attempt = 0;
  std::uint64_t n = 0; // the last piece in it
  std::string text;    // only what is new since the one before
};

struct room_row {
  uuid id;
  std::string title;
  std::vector<std::string> agents;
  uuid created_by;
  std::int64_t created_at = 0;
  std::uint64_t head = 0; // seq of the newest event
  std::uint64_t floor = 1;
  std::int64_t active_at = 0; // when the newest event came
};

struct member_row {
  uuid room;
  uuid account;
  std::string role; // owner | member
  std::int64_t joined_at = 0;
  std::uint64_t last_read = 0;
};

// How far a member has read.
struct read_mark {
  uuid account;
  std::uint64_t seq = 0;
};

struct account_row {
  uuid id;
  std::string login;    // folded; unique
  std::string username; // as it was typed, NFC
  std::string display_name;
  std::string password_hash;
  std::string role;            // admin | user
  std::string settings = "{}"; // JSON object of the client's
  std::int64_t created_at = 0;
};

// What others may know of an account.
struct account_summary {
  uuid id;
  std::string username, display_name, role;
  std::int64_t created_at = 0;
};

struct family_row {
  uuid id;
  uuid account;
  std::int64_t created_at = 0;
  std::optional<std::int64_t> revoked_at;
};

struct refresh_row {
  std::string hash; // of the token; the token itself is never kept
  uuid family;
  uuid account;
  std::int64_t expires_at = 0;
  std::optional<std::int64_t> used_at;
  std::string nonce;     // given when it was used
  std::string successor; // sealed; what the same nonce is answered with
};

struct key_row {
  std::string id;
  std::string secret;
  std::int64_t created_at = 0;
};

} // namespace maru::storage
