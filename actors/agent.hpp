#pragma once

// One LLM agent in one room. It works its durable mailbox in order, one question at a time. Invariants:
// - Nothing of an attempt is told before the commit that began the attempt (the gate).
// - What it does for a question that is not on disk yet leaves no trace: a call, ended when it is refused.
// - It never ends an answer itself: it asks the room, and lets go of the question only when told that it
// ended.

#include <deque>
#include <set>

#include "actors/services.hpp"

namespace maru::actors {

struct mailbox_item {
  storage::mailbox_entry entry;
  storage::answer_row answer;
};
struct mailbox_read {
  bool failed = false;
  std::vector<mailbox_item> items;
};
struct context_read {
  uuid answer;
  bool failed = false;
  std::vector<llm::turn> turns; // oldest first, the question last
  std::uint64_t base_n = 0;     // of the checkpoint that a recovered attempt goes on from
  std::string base_text;
};
enum class agent_wake : std::uint8_t { idle, mailbox, take_up, context, begin, call, checkpoint, room };
struct agent_tick {
  agent_wake why = agent_wake::idle;
  std::uint64_t work = 0; // which work it was set for
};

using agent_self = agent_actor::extend<caf::reacts_to<mailbox_read>, caf::reacts_to<context_read>,
                                       caf::reacts_to<agent_tick>>;

struct queued_question {
  uuid answer, question;
  std::uint32_t attempt = 0; // 0: not begun
  std::uint32_t provider_failures = 0;
  std::uint32_t failures = 0, losses = 0;
  bool recovered = false;      // taken up by somebody who is gone
  bool before_read = false;    // known when the mailbox began to be read
  std::int64_t expires_at = 0; // 0: never
  uuid asker;
  std::string record; // of attempts made before; see attempts.hpp
};

// One of the agent's providers, as it did for this answer.
struct tried_provider {
  std::uint32_t failures = 0;
  bool out = false;   // not asked again
  bool rests = false; // nobody may call it just now
};

struct agent_work {
  std::uint64_t number = 0; // grows; ticks and calls carry it
  queued_question q;
  std::uint32_t attempt = 1;
  bool have_turns = false;
  std::uint64_t context_reads = 0;
  std::vector<llm::turn> turns;
  std::size_t provider = 0; // index into the agent's list
  std::vector<tried_provider> providers;
  call_told told;              // of the call under way; provider "": it does not run
  std::int64_t called_at = 0;  // unix ms
  std::int64_t runs_since = 0; // steady; 0: no call runs
  bool called = false;         // ever
  bool leaves = false;         // for another provider, once its attempt has begun
  std::int64_t ran_ms = 0;     // of all attempts
  std::uint64_t tokens = 0;    // of all attempts
  std::string spent;           // on attempts that are not on record yet
  std::size_t spent_told = 0;  // of it, in the commit that begins the attempt
  std::uint64_t call = 0;      // 0: none running
  caller_actor caller;
  bool ahead = false;                       // the question is on its way to the disk
  std::optional<llm::outcome> failed_early; // before its attempt was on disk
  bool gate_open = false;
  std::uint64_t begin_ticket = 0; // 0: no commit under way
  answer_state state = answer_state::thinking;
  std::uint64_t n = 0;
  std::string text;
  std::uint64_t base_n = 0; // what the attempt began with
  std::size_t base_bytes = 0;
  std::uint64_t kept_n = 0; // checkpointed
  std::size_t kept_bytes = 0;
  std::int64_t kept_at = 0;
  bool checkpoint_set = false;
  std::uint64_t keep_ticket = 0; // a checkpoint is under way: what it will have kept
  std::uint64_t keep_n = 0;
  std::size_t keep_bytes = 0;
  bool keep_failed = false;            // the next waits for its time
  std::int64_t rests_until = 0;        // steady: a timer takes it up again
  std::optional<finish_answer> finish; // asked for, not yet told that it ended
};

struct agent_state {
  explicit agent_state(agent_self::stateful_pointer<agent_state> self) : self(self) {}
  static inline const char* name = "agent";

  agent_self::stateful_pointer<agent_state> self;
  shared_services svc;
  agent_name who;
  config::agent_settings settings;
  bool after_crash = false;
  std::string mailbox;

  bool loaded = false, reading = false, read_again = false;
  std::uint64_t reads = 0, rooms_found = 0;
  std::set<uuid> closed_since_read; // what is being read may still have them
  std::deque<queued_question> queue;
  std::optional<agent_work> work;
  room_actor room;
  bool finding_room = false;
  std::uint64_t next_number = 1, next_ticket = 1;
  std::uint64_t busy = 0, busy_seen = 0;

  // agent.cpp: the mailbox
  void start();
  [[nodiscard]] work_wait waits_for() const;
  void read_mailbox();
  void read_anew();
  void take_mailbox(mailbox_read& read);
  void ordered(question_ordered& what);
  void enqueued(const question_enqueued& what);
  void closed(const uuid& answer);
  void next();
  void take(queued_question q);
  void due();
  [[nodiscard]] bool is_over(const queued_question& q) const;
  void tick(const agent_tick& t);
  void wake_in(std::uint32_t ms, agent_wake why);
  void find_room();
  void found_room(room_actor handle);
  void went_down(const caf::down_msg& down);

  // agent_work.cpp: one answer
  void count(const queued_question& q);
  void bury(burial why) { bury(why, word(why)); }
  void bury(burial why, std::string_view reason);
  void give_up(const queued_question& q, burial why);
  void take_up();
  void go_ahead(question_ordered& what);
  void on_disk();
  [[nodiscard]] std::uint32_t wait_before() const;
  void read_context();
  void take_context(context_read& read);
  void commit_begin();
  void committed(const commit_done& done);
  void open_gate();
  void pieces(call_pieces& what);
  void ask_end(finish_answer how);
  void tell_end();
  void tell_call();
  void checkpoint();
  void keep();
  void kept(bool on_disk);
  void leave(const caf::error& why);
  void tell_so_far();
  [[nodiscard]] agent_actor me() const;

  // agent_attempts.cpp: who is called, what it cost, and what follows when it fails
  [[nodiscard]] const llm::provider* model() const;
  [[nodiscard]] bool continues() const;
  void take_record();
  void take_loss();
  void call_model();
  void placed(const call_placed& what);
  void use_next(bool and_call);
  void spend(std::string_view how, const llm::usage& usage);
  [[nodiscard]] bool over_budget() const;
  void check_budget();
  void ended(const call_ended& what);
  void answered(const llm::outcome& how);
  void failed(const llm::outcome& how);
  void begin_again(std::int64_t wait_ms);
  void give_up_on(std::string reason, std::optional<burial> bury);
  void drop_call();
};

agent_self::behavior_type agent(agent_self::stateful_pointer<agent_state> self, shared_services svc,
                                agent_name who, bool after_crash);

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::mailbox_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::context_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::agent_tick)
