#pragma once

// The single writer of a room. Invariants:
// - What it tells (frames, command_done, answer_closed, a question to an agent) rests on a commit that is on
// disk.
// - Sequence numbers are given out ahead; events are told in their order. If a commit is refused, those
//   after it are refused too, and the room is read again before anything else is ordered.
// - An answer has one end: the first that is ordered, here.

#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "actors/scheduled.hpp"
#include "actors/services.hpp"

namespace maru::actors {

struct room_read {
  std::uint64_t number = 0; // which load
  std::string failed;       // "" read
  std::optional<storage::room_image> image;
  std::vector<storage::entry_head> entries; // of the room's mailbox
};
struct references_read {
  std::uint64_t aside = 0;
  bool failed = false;
  bool parent_ok = true, reply_to_ok = true;
};
struct ended_read {
  std::uint64_t aside = 0;
  bool failed = false;
  std::optional<storage::answer_row> row;
};
struct retried_read {
  std::uint64_t aside = 0;
  bool failed = false;
  std::optional<storage::command_row> taken; // the command, if it was before
  std::optional<storage::answer_row> row;
  std::vector<storage::answer_end> answers; // of the same agent to the same question
  bool dead = false;                        // its entry is among the dead letters
};
struct taken_read {
  std::uint64_t aside = 0;
  bool failed = false;
  std::optional<storage::command_row> row;
};
// What a room asks before it keeps something for later, or takes it up again.
struct schedule_read {
  std::uint64_t aside = 0;
  bool failed = false;
  std::optional<storage::command_row> taken; // the command, if it was before
  std::size_t of_author = 0;                 // entries in all rooms
  result<std::int64_t> turn = 0;             // the first, or why there is none
  std::optional<storage::dead_letter> letter;
};
// An entry whose turn has come, and what is to be known of it.
struct due_entry {
  storage::mailbox_entry entry;
  std::optional<scheduled> what;              // nothing: unreadable
  std::optional<storage::account_row> author; // nothing: gone
  std::uint32_t waiting = 0;                  // questions of the author
  std::optional<std::int64_t> next;           // its next turn
};
struct due_read {
  bool failed = false;
  std::vector<due_entry> entries;
};
enum class room_wake : std::uint8_t { idle, load, redo, hear, reads };
struct room_tick {
  room_wake why = room_wake::idle;
};

using room_self =
    room_actor::extend<caf::reacts_to<room_read>, caf::reacts_to<references_read>, caf::reacts_to<ended_read>,
                       caf::reacts_to<taken_read>, caf::reacts_to<retried_read>,
                       caf::reacts_to<schedule_read>, caf::reacts_to<due_read>, caf::reacts_to<room_tick>>;

// Who is told how a command ended.
struct waiter {
  std::uint64_t ticket = 0;
  room_client from;
  bool joined = false; // came while the first was under way: a duplicate
};

struct post_request {
  person by;
  post_message what;
  std::vector<waiter> waiters;
  bool references_known = false;
  refusal if_new; // unless it was taken before
  std::uint32_t tries = 0;
  std::optional<turn> of; // no command of a person: out of the room's mailbox
};

struct stop_request {
  person by;
  stop_answer what;
  std::vector<waiter> waiters;
  std::uint32_t tries = 0;
};

struct finish_request {
  finish_answer how;
  std::uint32_t tries = 0;
};

// A stop that came after the end: only the command is kept, pointing at that end.
struct note_request {
  stop_request stop;
  std::uint64_t seq = 0;
  uuid event;
};

// An answer that failed or was stopped is opened anew, under a new id.
struct retry_request {
  person by;
  retry_answer what;
  std::vector<waiter> waiters;
  bool by_operator = false; // no command of a person: out of the dead letters
  std::uint32_t tries = 0;
  storage::answer_row row{}; // as it was read: with its end
};

// A message to be kept for later.
struct schedule_request {
  person by;
  schedule_message what;
  std::vector<waiter> waiters;
  std::uint32_t tries = 0;
};

// What is kept for later is dropped.
struct cancel_request {
  person by;
  uuid schedule;
  std::vector<waiter> waiters;
  bool by_operator = false;
  std::uint32_t tries = 0;
};

// A scheduled message out of the dead letters.
struct revive_request {
  uuid schedule;
  std::vector<waiter> waiters;
  std::uint32_t tries = 0;
};

// A due entry that cannot be delivered now, or ever. Nobody waits: where the disk does not take it, it is due
// still.
struct shelve_request {
  std::optional<burial> why; // nothing: postponed
  std::uint32_t tries = 0;
};

using room_request = std::variant<post_request, stop_request, finish_request, note_request, retry_request,
                                  schedule_request, cancel_request, revive_request, shelve_request>;

std::vector<waiter>* waiters_of(room_request& what); // null: an end that the agent asks for, or a due entry
std::uint32_t& tries_of(room_request& what);
bool is_due_entry(const room_request& what);

struct command_key {
  uuid author, id;
  auto operator<=>(const command_key&) const = default;
};

struct taken_command {
  std::string mark;
  std::uint64_t seq = 0;
  uuid event;
  std::vector<asked> answers;
};

// An entry of the room's mailbox.
struct kept_entry {
  uuid owner;
  std::int64_t visible_at = 0;
  bool changing = false; // by a commit under way
};

// A commit between its order and the disk.
struct ordered {
  std::uint64_t ticket = 0;
  room_request what;
  std::optional<command_key> key;
  std::string mark;
  event_fact event;            // seq 0: none
  std::vector<asked> answers;  // of a post, or a retry
  std::int64_t expires_at = 0; // of their entries; 0: never
  uuid answer;                 // of an end
  std::optional<uuid> entry;   // of the room's mailbox: what it is made, changed or removed to
  std::optional<kept_entry> entry_after;
};

struct live_answer {
  answer_fact fact;
  uuid asker;
  bool ending = false;
  std::int64_t asked_at = 0; // steady; 0: in another life of the room
  bool spoke = false;        // text of it was told
  bool unheard = false;      // its agent may have shown more than the store knows
  std::uint64_t place = 0;   // grows with each: the order of the questions of one agent
  call_told call;            // that runs; provider "": none does
  std::int64_t called_at = 0;
  std::size_t base_bytes = 0; // of its text, from attempts before
};

struct agent_link {
  agent_actor handle;
  std::vector<question_enqueued> waiting; // for the handle
  bool asking = false;
};

struct room_state {
  explicit room_state(room_self::stateful_pointer<room_state> self) : self(self) {}
  ~room_state();
  static inline const char* name = "room";

  room_self::stateful_pointer<room_state> self;
  shared_services svc;
  uuid id;
  bool after_crash = false;
  std::uint64_t life = 0;  // tells this life of the room from others
  std::uint64_t frame = 0; // the last one told

  // From the store.
  bool loaded = false, missing = false;
  bool watched = false; // for idleness; not before it is known to exist: timers outlive their actor
  std::uint64_t loads = 0;
  storage::room_row row;
  roster members;
  event_fact last; // the newest event; seq 0: none
  std::map<command_key, taken_command> recent;
  std::deque<command_key> recent_order;

  // Ordered, perhaps not yet on disk.
  std::uint64_t next_seq = 1, next_ticket = 1;
  std::optional<uuid> tail; // newest message or finished answer
  std::deque<ordered> under_way;
  std::map<command_key, std::uint64_t> keys_under_way; // to the ticket
  std::map<std::string, std::size_t> unfinished;       // by agent
  bool broken = false; // a commit was refused; read again when none is under way
  refusal broken_why;
  std::vector<room_request> redo;    // to be ordered again after that
  std::vector<finish_request> later; // ends that wait for the disk

  std::map<uuid, live_answer> answers; // unfinished, committed
  std::uint64_t next_place = 1;
  std::map<uuid, std::vector<stop_request>> stops_waiting;
  std::unordered_set<uuid> known; // recent messages and answers that may be pointed at
  std::deque<uuid> known_order;
  std::map<std::uint64_t, room_request> aside; // waits for a read
  std::uint64_t next_aside = 1;
  std::map<uuid, std::deque<post_request>> behind; // by author: come after one that looks for its references
  std::size_t behind_count = 0;
  std::vector<room_request> held; // came while loading
  struct held_subscriber {
    relay_actor relay;
    std::function<void()> subscribe;
  };
  std::vector<held_subscriber> held_subscribers;
  std::map<uuid, agent_actor> held_agents; // who told of an answer while loading: it may have ended

  // The room's mailbox, as ordered.
  std::map<uuid, kept_entry> mailbox;
  std::map<uuid, std::vector<cancel_request>> cancels_waiting; // for what is under way with their entry
  std::int64_t began_at = 0; // unix; what was due before that may have ended the life before
  bool due_waits = false, reading_due = false;

  roster unsaved;                              // what members have read, on its way to the store
  std::map<std::uint64_t, roster> being_saved; // by ticket
  bool saves_soon = false;

  std::set<relay_actor> relays;
  std::map<std::string, agent_link> agents;
  std::uint64_t busy = 0, busy_seen = 0; // moves with each message; an idle room's does not

  // room.cpp: life, subscribers, frames
  void start();
  void load();
  void take_image(room_read& read);
  void take_row(storage::room_image& image);
  void let_in();
  void take_unfinished(const storage::room_image& image);
  void subscribe(std::uint64_t ticket, const room_subscriber& from, const person& by,
                 const relay_actor& relay);
  void unsubscribe(const relay_actor& relay);
  void tick(room_wake why);
  void wake_in(std::uint32_t ms, room_wake why);
  void went_down(const caf::down_msg& down);
  [[nodiscard]] work_wait waits_for() const;
  template <class Fact>
  void tell(const Fact& fact);

  // room_commands.cpp: posts and stops
  void request(room_request what);
  void post(post_request what);
  bool check_references(post_request& what);
  void take_references(references_read& read);
  void refuse_unless_taken(post_request what, refusal why);
  void take_taken(const taken_read& read);
  void order(post_request what);
  void stop(stop_request what);
  void read_end(stop_request what);
  void note(note_request what);
  void take_end(ended_read& read);
  bool is_repeat(const command_key& key, const std::string& mark, bool any_parent,
                 std::vector<waiter>& waiters);
  [[nodiscard]] std::vector<std::string> agents_meant(const post_message& what) const;
  result<std::vector<std::string>> agents_asked(const post_message& what) const;
  [[nodiscard]] refusal no_place_for(const std::vector<std::string>& agents) const;
  [[nodiscard]] std::uint32_t wait_for_model(const std::string& agent) const;
  void open_answer(ordered& to, std::vector<storage::part>& parts, const asked& what, const uuid& question,
                   std::uint64_t question_seq, const uuid& asker);
  void refuse(const std::vector<waiter>& waiters, const refusal& why);
  void accept(const std::vector<waiter>& waiters, const taken_command& how, bool duplicate);

  // room_retries.cpp: answers that are opened anew
  void retry(retry_request what);
  void take_retried(retried_read& read);
  [[nodiscard]] refusal may_not_retry(const retry_request& what, const retried_read& read) const;
  [[nodiscard]] bool is_answering(const uuid& question, const std::string& agent) const;
  void order_retry(retry_request what, bool dead);

  // room_schedule.cpp: what is kept for later
  void schedule(schedule_request what);
  void read_aside(room_request what, std::function<void(storage::reader&, schedule_read&)> fetch);
  void take_schedule(schedule_read& read);
  void take_schedule(schedule_request what, const schedule_read& read);
  [[nodiscard]] refusal may_not_schedule(const schedule_request& what, const schedule_read& read) const;
  void order_schedule(schedule_request what, std::int64_t at);
  void cancel(cancel_request what);
  void revive(revive_request what);
  void take_letter(revive_request what, const schedule_read& read);
  void take_entries(const std::vector<storage::entry_head>& stored);
  void commit_entry(ordered what, const uuid& entry, std::optional<kept_entry> after,
                    std::vector<storage::part> parts);
  void entry_changed(const ordered& what);

  // room_deliveries.cpp: what is due of it
  void due();
  void take_due(due_read& read);
  void count_failure(due_entry& what);
  void deliver(due_entry& what);
  void take_turn(const turn& what, ordered& to, std::vector<storage::part>& parts);
  void postpone(const due_entry& what);
  void give_up(const due_entry& what, burial why, const std::string& reason);

  // room_commits.cpp: the pipeline and the end of answers
  void commit(ordered what, std::vector<storage::part> parts);
  void committed(commit_done& done);
  void publish(ordered& what);
  void publish_asked(const ordered& what, const uuid& question, const uuid& asker);
  void publish_end(ordered& what);
  void count_end_of(const live_answer& live, const room_request& what);
  [[nodiscard]] double seconds_since(const live_answer& live) const;
  void refused(ordered what, const storage::outcome& how);
  void taken_before(ordered& what, const storage::outcome& how);
  void order_anew(ordered& what, const std::string& why);
  void refuse_all(room_request& what, const refusal& why);
  void read_again();
  void remember(const command_key& key, taken_command how);
  void know(const uuid& event);
  void finish(finish_request what);
  void order_end(room_request what, live_answer& answer, const std::string& kind, std::string data);
  [[nodiscard]] event_fact next_event(const std::string& kind, const std::string& author_kind,
                                      const uuid& author, const std::string& author_name);
  [[nodiscard]] storage::event_row row_of(const event_fact& fact, std::optional<uuid> parent,
                                          std::optional<uuid> reply_to) const;

  // room_reads.cpp: what members have read, and what lists are told
  void tell_event(const event_fact& fact, bool author_was_there);
  void take_members(const std::vector<storage::member_row>& stored);
  void take_reads(const members_read& what, const relay_actor& from);
  void note_unsaved(const storage::read_mark& what);
  void save_reads();
  void saved(roster what, const storage::outcome& how);
  [[nodiscard]] bool is_member(const uuid& account) const;
  [[nodiscard]] room_news news_for(roster readers) const;

  // room_agents.cpp: talking with agents
  void announce(const ordered& what, const std::optional<uuid>& parent);
  void wake(const std::string& agent, question_enqueued what);
  void linked(const std::string& agent, agent_actor handle);
  void close(const std::string& agent, const uuid& answer);
  void call_off(const ordered& what);
  void resumed(answer_resumed& what, const agent_actor& from);
  void heard(const uuid& answer, live_answer& live);
  void begun(answer_begun& what);
  void told(const call_told& what);
  std::vector<live_answer*> line_of(const std::string& agent);
  void tell_line(const std::string& agent);
  [[nodiscard]] std::string spent_on(const live_answer& live) const;
  void pieces(pieces_made& what);
};

room_self::behavior_type room(room_self::stateful_pointer<room_state> self, shared_services svc, uuid id,
                              bool after_crash);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::room_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::references_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::ended_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::taken_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::retried_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::schedule_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::due_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::room_tick)
