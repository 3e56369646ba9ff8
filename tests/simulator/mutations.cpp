#include "tests/simulator/mutations.hpp"

#include <map>
#include <set>
#include <span>
#include <vector>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/agent.hpp"
#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room.hpp"
#include "actors/session.hpp"
#include "storage/sqlite_writer.hpp"

namespace maru::test {

namespace {

mutation in_force = mutation::none;

bool is(mutation what) { return in_force == what; }

// What faulty stores and rooms have in mind.
struct memory {
  std::vector<storage::step> unwritten;
  std::map<uuid, storage::step> kept_back; // checkpoints, by answer
  std::vector<storage::step> late;         // of these, those that come after the next commit
  std::size_t wake_ups = 0;
  std::uint64_t epoch = 0; // of this process at least
};
memory mind;

} // namespace

std::optional<mutation> mutation_of(std::string_view name) {
  for (const auto& m : mutations)
    if (m.name == name) return m.what;
  return std::nullopt;
}

std::string_view name_of(mutation what) {
  for (const auto& m : mutations)
    if (m.what == what) return m.name;
  return "";
}

mutated::mutated(mutation what) {
  in_force = what;
  mind = {};
}

void mutated::process_ends() {
  const auto next = mind.epoch + 1;
  mind = {};
  mind.epoch = next;
}

bool mutated::syncs_are_skipped() { return is(mutation::sync_skipped); }

mutated::~mutated() {
  in_force = mutation::none;
  mind = {};
}

} // namespace maru::test

// --- in the product's place --------------------------------------------------------------------------------

// `--wrap` of the linker: who calls NAME comes to `__wrap_NAME`, and finds the product's as `__real_NAME`. A
// name that the product has no more does not link. The same list stands in CMakeLists.txt.
#define MARU_IN_PLACE_OF(result, name, mangled, ...) /* NOLINT(cppcoreguidelines-macro-usage) */             \
  result real_##name(__VA_ARGS__) asm("__real_" mangled);                                                    \
  result wrap_##name(__VA_ARGS__) asm("__wrap_" mangled);                                                    \
  result wrap_##name(__VA_ARGS__)

using namespace maru;
using namespace maru::actors;
using maru::test::in_force;
using maru::test::is;
using maru::test::mind;
using maru::test::mutation;

namespace {

using outcomes = std::vector<storage::outcome>;
using step_list = std::span<const storage::step* const>;

template <class Part>
bool has(const storage::step& s) {
  for (const auto& p : s.parts)
    if (std::holds_alternative<Part>(p)) return true;
  return false;
}

template <class... Parts>
storage::step without(const storage::step& s) {
  storage::step out{s.under, {}};
  for (const auto& p : s.parts)
    if (!(std::holds_alternative<Parts>(p) || ...)) out.parts.push_back(p);
  return out;
}

// As if it stood on whatever is there.
storage::step on_top_of(storage::step s, std::uint64_t n) {
  std::get<storage::append_checkpoint>(s.parts[0]).after = n;
  return s;
}

} // namespace

MARU_IN_PLACE_OF(outcomes, commit,
                 "_ZN4maru7storage6sqlite6writer6commitESt4spanIKPKNS0_4stepELm18446744073709551615EE",
                 storage::sqlite::writer* self, step_list group);

namespace {

outcomes commit_all(storage::sqlite::writer* self, const std::vector<storage::step>& steps) {
  std::vector<const storage::step*> group;
  for (const auto& s : steps)
    group.push_back(&s);
  return real_commit(self, group);
}

// The same steps, those that were refused for `why` once more without some of their parts.
template <class... Parts>
outcomes again_without(storage::sqlite::writer* self, step_list group, storage::failure why) {
  auto out = real_commit(self, group);
  for (std::size_t i = 0; i < group.size(); ++i)
    if (out[i].why == why && (has<Parts>(*group[i]) || ...))
      out[i] = commit_all(self, {without<Parts...>(*group[i])}).front();
  return out;
}

outcomes commit_later(storage::sqlite::writer* self, step_list group) {
  const auto before = std::exchange(mind.unwritten, {});
  if (!before.empty()) commit_all(self, before);
  for (const auto* s : group)
    mind.unwritten.push_back(*s);
  return {group.size(), storage::outcome{}};
}

// The first of two waits for the second, and is written with what comes after that.
outcomes commit_swapped(storage::sqlite::writer* self, step_list group) {
  for (auto& s : std::exchange(mind.late, {}))
    commit_all(self, {s});
  outcomes out;
  for (const auto* s : group) {
    const auto* next =
        s->parts.size() == 1 ? std::get_if<storage::append_checkpoint>(s->parts.data()) : nullptr;
    if (next == nullptr || s->under.epoch < mind.epoch) {
      out.push_back(commit_all(self, {*s}).front());
      continue;
    }
    mind.epoch = s->under.epoch;
    auto first = mind.kept_back.extract(next->row.answer);
    if (first.empty()) {
      mind.kept_back.emplace(next->row.answer, *s);
      out.emplace_back();
      continue;
    }
    const auto below = std::get<storage::append_checkpoint>(first.mapped().parts[0]).after;
    out.push_back(commit_all(self, {on_top_of(*s, below)}).front());
    mind.late.push_back(on_top_of(std::move(first.mapped()), next->row.n));
  }
  return out;
}

outcomes without_removals(storage::sqlite::writer* self, step_list group) {
  std::vector<storage::step> steps;
  for (const auto* s : group)
    steps.push_back(without<storage::remove_entry>(*s));
  return commit_all(self, steps);
}

outcomes passed(outcomes of) {
  for (auto& o : of)
    if (o.why == storage::failure::full || o.why == storage::failure::unavailable) o = {};
  return of;
}

} // namespace

outcomes wrap_commit(storage::sqlite::writer* self, step_list group) {
  switch (in_force) {
  case mutation::reply_before_commit:
    return commit_later(self, group);
  case mutation::skipped_duplicate_check:
    return again_without<storage::record_command>(self, group, storage::failure::duplicate);
  case mutation::stop_after_the_end:
    return again_without<storage::end_answer, storage::remove_entry>(self, group, storage::failure::conflict);
  case mutation::checkpoint_out_of_order:
    return commit_swapped(self, group);
  case mutation::entry_left_behind:
    return without_removals(self, group);
  case mutation::failed_commit_passed:
    return passed(real_commit(self, group));
  default:
    return real_commit(self, group);
  }
}

MARU_IN_PLACE_OF(storage::outcome, check_fence,
                 "_ZN4maru7storage6sqlite11check_fenceERNS1_10connectionERKNS0_5fenceE",
                 storage::sqlite::connection& db, const storage::fence& under) {
  return is(mutation::forgotten_epoch) ? storage::outcome{} : real_check_fence(db, under);
}

MARU_IN_PLACE_OF(
    void, wake,
    "_ZN4maru6actors10room_state4wakeERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEENS0_17question"
    "_enqueuedE",
    room_state* self, const std::string& agent, question_enqueued what) {
  if (is(mutation::lost_wake_up) && ++mind.wake_ups % 4 == 0) return;
  real_wake(self, agent, std::move(what));
}

MARU_IN_PLACE_OF(std::optional<agent_name>, agent_of,
                 "_ZN4maru6actors8agent_ofERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
                 const std::string& mailbox) {
  if (is(mutation::lost_wake_up)) return std::nullopt;
  return real_agent_of(mailbox);
}

MARU_IN_PLACE_OF(
    void, close,
    "_ZN4maru6actors10room_state5closeERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKNS_4uuidE",
    room_state* self, const std::string& agent, const uuid& answer) {
  if (!is(mutation::end_not_told)) real_close(self, agent, answer);
}

MARU_IN_PLACE_OF(void, tell_event, "_ZN4maru6actors10room_state10tell_eventERKNS0_10event_factEb",
                 room_state* self, const event_fact& fact, bool author_was_there) {
  real_tell_event(self, fact, author_was_there);
  if (is(mutation::event_told_twice)) real_tell_event(self, fact, author_was_there);
}

MARU_IN_PLACE_OF(void, take_end, "_ZN4maru6actors10room_state8take_endERNS0_10ended_readE", room_state* self,
                 ended_read& read) {
  if (!is(mutation::stop_after_the_end) || !read.row || !read.row->end_seq) return real_take_end(self, read);
  auto what = self->aside.extract(read.aside);
  if (what.empty()) return;
  auto& live = self->answers[read.row->id];
  live.fact = {
      read.row->id, read.row->question, read.row->agent, read.row->attempt, answer_state::streaming, 0, ""};
  self->order_end(std::move(what.mapped()), live, "answer_stopped", event_data::stopped(live.fact));
}

MARU_IN_PLACE_OF(void, take_context, "_ZN4maru6actors11agent_state12take_contextERNS0_12context_readE",
                 agent_state* self, context_read& read) {
  real_take_context(self, read);
  if (is(mutation::gate_opened_early) && self->work && self->work->have_turns && !self->work->gate_open &&
      !self->work->ahead)
    self->open_gate();
}

MARU_IN_PLACE_OF(void, remember,
                 "_ZN4maru6actors10room_state8rememberERKNS0_11command_keyENS0_13taken_commandE",
                 room_state* self, const command_key& key, taken_command how) {
  if (!is(mutation::skipped_duplicate_check)) real_remember(self, key, std::move(how));
}

MARU_IN_PLACE_OF(void, start_replay, "_ZN4maru6actors13session_state12start_replayERNS0_13room_snapshotE",
                 session_state* self, room_snapshot& what) {
  if (auto* sub = self->find(what.ticket);
      is(mutation::resume_off_by_one) && sub != nullptr && sub->after && *sub->after > 0)
    ++*sub->after;
  real_start_replay(self, what);
}
