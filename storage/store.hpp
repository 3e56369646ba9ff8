#pragma once

// The one door to what is kept. Invariants:
// - A commit is one step: all of it is on disk, to the power cut, before `done` says so, or none of it is.
// - Steps are taken in the order they were submitted and answered in that order.
// - A refused step is undone alone; the steps grouped with it stand.
// - A step under an epoch older than its shard's is refused in the same transaction.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/codes.hpp"
#include "base/metrics.hpp"
#include "storage/rows.hpp"

namespace maru::storage {

enum class failure : std::uint8_t {
  none,
  conflict,    // an expectation of the step does not hold (unique id, head, unfinished answer, entry present)
  duplicate,   // the command was taken before; `duplicate_of` says with what outcome
  fenced,      // another owner has taken the shard
  full,        // no room on the disk; reads go on
  overloaded,  // too much waits already
  unavailable, // closed, or a passing fault
  fatal,       // failed fsync or a corrupt database: nothing can be promised any more
};

std::string_view word(failure why);

struct outcome {
  failure why = failure::none;
  std::string detail;
  std::optional<command_row> duplicate_of;

  explicit operator bool() const { return why == failure::none; }
};

// --- the parts of a step -------------------------------------------------------------------------------

struct create_account {
  account_row row;
  bool first_is_admin = true;
}; // conflict: login taken
struct update_account {
  account_row row;
};
struct keep_an_admin {}; // conflict unless an account is still an admin after the parts before it
struct create_family {
  family_row row;
};
struct revoke_family {
  uuid family;
  std::int64_t at = 0;
};
struct revoke_account_families {
  uuid account;
  std::optional<uuid> keep;
  std::int64_t at = 0;
};
struct add_refresh {
  refresh_row row;
};
// conflict unless the token exists and is unused
struct use_refresh {
  std::string hash;
  std::int64_t at = 0;
  std::string nonce;
  std::string successor;
};
// Tokens that expired before that, and families of which none is left; up to
// limits::refreshes_dropped_per_step tokens, the oldest first. Conflict when there are none. A family revoked
// since stays with its tokens: its access tokens may live.
struct drop_expired {
  std::int64_t before = 0;
};
struct put_key {
  key_row row;
};

struct create_room {
  room_row row;
};
struct change_room {
  uuid room;
  std::optional<std::string> title;
  std::optional<std::vector<std::string>> agents;
};
struct add_member {
  member_row row;
};
struct remove_member {
  uuid room;
  uuid account;
};

// Moves `last_read` of these members forward; whoever has read more, or is no member, is left as they are.
struct mark_read {
  uuid room;
  std::vector<read_mark> marks;
};

// conflict unless seq is head + 1; moves head and active_at
struct append_event {
  event_row row;
};
// failure::duplicate when (room, author, id) is known
struct record_command {
  command_row row;
};
struct open_answer {
  answer_row row;
};
// conflict while this agent has an unfinished or a finished answer to the question: it may be asked again
// only when all it had failed or were stopped
struct expect_unanswered {
  uuid question;
  std::string agent;
};
// conflict unless the answer is unfinished
struct begin_attempt {
  uuid answer;
  std::uint32_t attempt = 0;
  std::uint32_t provider_failures = 0;
  std::string spent{}; // appended to what is on record
};
struct end_answer {
  uuid answer;
  std::uint64_t seq = 0;
  uuid event;
  std::string spent{}; // appended to what is on record
}; // conflict unless unfinished; drops its checkpoints
struct append_checkpoint {
  checkpoint_row row;
  std::uint64_t after = 0; // the n it goes on from, 0: none
}; // conflict unless unfinished and of the current attempt

struct enqueue {
  mailbox_entry entry;
}; // seq is given by the store
struct remove_entry {
  std::string mailbox;
  uuid id;
}; // conflict unless present
struct defer_entry {
  std::string mailbox;
  uuid id;
  std::int64_t visible_at = 0;
  std::uint32_t failures = 0;
  std::uint32_t losses = 0;
};
// The next turn of what is repeated. Conflict unless it waits for its turn at `was`: each turn is taken once.
struct repeat_entry {
  std::string mailbox;
  uuid id;
  std::int64_t was = 0;
  std::int64_t visible_at = 0;
  std::string body;
}; // failures and losses begin anew
struct bury_entry {
  std::string mailbox;
  uuid id;
  std::string reason;
  std::int64_t at = 0;
}; // to the dead letters
struct requeue_dead {
  uuid id;
  std::int64_t visible_at = 0;
};
struct purge_dead {
  uuid id;
};

using part =
    std::variant<create_account, update_account, keep_an_admin, create_family, revoke_family,
                 revoke_account_families, add_refresh, use_refresh, drop_expired, put_key, create_room,
                 change_room, add_member, remove_member, mark_read, append_event, record_command, open_answer,
                 expect_unanswered, begin_attempt, end_answer, append_checkpoint, enqueue, remove_entry,
                 defer_entry, repeat_entry, bury_entry, requeue_dead, purge_dead>;

struct step {
  fence under;
  std::vector<part> parts;
};

// --- reading -------------------------------------------------------------------------------------------

struct room_summary {
  room_row room;
  std::optional<event_row> last;
  std::uint64_t read = 0; // how far this person has
  std::uint64_t unread = 0;
  std::uint32_t members = 0;
};

struct rooms_cursor {
  std::int64_t active_at = 0;
  uuid room;
};

// What a room needs to live.
struct room_image {
  room_row room;
  std::vector<member_row> members;
  std::vector<answer_row> unfinished; // oldest first
  std::vector<checkpoint_row>
      checkpoints;                 // of the unfinished answers' current attempts, joined: one per answer
  std::vector<command_row> recent; // of the newest commands of all rooms, oldest first
  std::optional<event_row> tail;   // newest message or finished answer: the default parent
  std::optional<event_row> last;   // newest event
};

// The mailboxes of one kind.
struct mailboxes_observed {
  std::uint64_t entries = 0;
  std::optional<std::int64_t> due_since; // of the entry that is due longest
};

// What an operator watches. Counting ends at limits::observed_rows: beyond it there are as many or more.
struct observation {
  std::array<mailboxes_observed, mailbox_kinds.size()> mailboxes;
  std::vector<std::pair<std::string, std::uint64_t>> dead_by_reason; // of the newest dead letters
  std::uint64_t unfinished = 0;                                      // answers
  std::uint64_t database_bytes = 0, log_bytes = 0, disk_free_bytes = 0;
};

// A snapshot in time: all calls on one reader see the same state. Throws read_error.
class reader {
public:
  virtual ~reader() = default;
  virtual std::optional<account_row> account(const uuid& id) = 0;
  virtual std::optional<account_row> account_by_login(const std::string& folded) = 0;
  // Oldest first, those after this id; after the nil one all.
  virtual std::vector<account_summary> accounts(const uuid& after, std::size_t most) = 0;
  virtual std::optional<refresh_row> refresh(const std::string& hash) = 0;
  virtual std::optional<family_row> family(const uuid& id) = 0;
  virtual std::vector<family_row> families_revoked_since(std::int64_t at) = 0;
  virtual std::vector<key_row> keys() = 0;

  virtual std::optional<room_row> room(const uuid& id) = 0;
  virtual std::optional<member_row> member(const uuid& room, const uuid& account) = 0;
  virtual std::optional<room_image> image(const uuid& room, std::size_t recent_commands) = 0;
  virtual std::optional<room_summary> room_for(const uuid& room, const uuid& account) = 0; // a member's
  // Newest activity first.
  virtual std::vector<room_summary> rooms_of(const uuid& account, std::optional<rooms_cursor> before,
                                             std::size_t most) = 0;

  // Ascending. `after` reads the first ones above, `before` the last ones below.
  virtual std::vector<event_row> events_after(const uuid& room, std::uint64_t after, std::size_t most,
                                              std::size_t bytes) = 0;
  virtual std::vector<event_row> events_before(const uuid& room, std::uint64_t before, std::size_t most,
                                               std::size_t bytes) = 0;
  virtual std::optional<event_row> event(const uuid& room, const uuid& id) = 0;
  // The `parent` chain from `id` upwards, newest first, `id` included.
  virtual std::vector<event_row> chain(const uuid& room, const uuid& id, std::size_t most,
                                       std::size_t bytes) = 0;
  // Finished answers (events of kind `answer`) to this question, in seq order.
  virtual std::vector<event_row> answers_to(const uuid& room, const uuid& question) = 0;
  // All answers of this agent to the question, the oldest first, with how each ended.
  virtual std::vector<answer_end> answers_of(const uuid& question, const std::string& agent) = 0;
  virtual std::optional<command_row> command(const uuid& room, const uuid& author, const uuid& id) = 0;
  virtual std::optional<answer_row> answer(const uuid& id) = 0;
  virtual std::optional<checkpoint_row> checkpoint(const uuid& answer) = 0; // of its current attempt, joined
  virtual std::uint32_t unfinished_of(const uuid& asker) = 0;               // questions

  // In seq order, those above `after`.
  virtual std::vector<mailbox_entry> entries(const std::string& mailbox, std::size_t most,
                                             std::uint64_t after = 0) = 0;
  // Those whose turn has come, the longest due first.
  virtual std::vector<mailbox_entry> entries_due(const std::string& mailbox, std::int64_t now,
                                                 std::size_t most) = 0;
  virtual std::vector<entry_head> entry_heads(const std::string& mailbox) = 0;
  virtual std::optional<mailbox_entry> entry(const uuid& id) = 0; // in whichever mailbox
  virtual std::uint32_t entries_of(const uuid& owner) = 0;        // how many
  virtual std::vector<std::string> mailboxes_due(std::int64_t now, std::size_t most) = 0; // distinct
  // Those that are not empty, by name, after this one.
  virtual std::vector<mailbox_summary> mailboxes(const std::string& after, std::size_t most) = 0;
  // Newest first, those numbered below `before`; absent: all.
  virtual std::vector<dead_letter> dead(const dead_filter& which, std::optional<std::uint64_t> before,
                                        std::size_t most) = 0;
  virtual std::optional<dead_letter> dead_letter_of(const uuid& id) = 0;
  virtual observation observe(std::int64_t now) = 0;
};

struct read_error {
  std::string detail;
};

using completion = std::function<void(outcome)>;
using read_job = std::function<void(reader&)>;
using read_failed = std::function<void(std::string)>;

struct counters {
  std::uint64_t steps = 0, groups = 0, refused = 0, queued_steps = 0, queued_bytes = 0, queued_reads = 0;
  std::uint64_t reads = 0;  // that were taken up
  bool writes_fail = false; // the disk took nothing of the last group
};

class store {
public:
  virtual ~store() = default; // finishes what was submitted, then closes

  // Thread-safe; `done` runs on a thread of the store, with no lock held. A step refused as `overloaded`
  // never entered the order: its `done` runs before submit returns, perhaps before that of older steps.
  virtual void submit(step s, completion done) = 0;
  // Thread-safe; `job` runs on a reader thread; `failed` instead when the read cannot be had or threw, and
  // before read returns when too many wait.
  virtual void read(read_job job, read_failed failed) = 0;

  // Takes every shard for this process: raises all epochs by one. Called once, before any submit.
  // Throws open_error.
  virtual std::uint64_t claim_shards(const std::string& node) = 0;
  [[nodiscard]] virtual counters count() const = 0;
};

// Where faults are put in by tests; asked before each named operation of the backend
// ("begin", "apply:append_event", "commit", "read", ...). Returns the failure to act out, or none.
using fault_probe = std::function<failure(std::string_view operation)>;

enum class threading : std::uint8_t {
  own,    // a writer thread and readers
  manual, // nothing moves until pump(): deterministic tests
};

struct open_options {
  std::string url; // "sqlite:/path/file.db"
  std::uint32_t readers = 2;
  threading threads = threading::own;
  fault_probe probe;                         // empty in production
  std::function<void(std::string)> on_fatal; // told once, from a store thread
  std::shared_ptr<metrics> counts = std::make_shared<metrics>();
};

struct open_error {
  std::string detail;     // says what to do
  std::int64_t held_by{}; // the process that has it open; 0: nobody, -1: one that has not said its id
};

// Opens, migrates, refuses what is newer. Throws open_error.
std::unique_ptr<store> open(open_options options);

// With threading::manual: takes what waits as one group, runs waiting reads; returns how many were handled.
std::size_t pump(store& s);

} // namespace maru::storage
