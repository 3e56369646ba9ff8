// One answer: its context, its attempts, its text, and the asking for its end.

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/agent.hpp"
#include "actors/common.hpp"
#include "actors/context.hpp"
#include "config/limits.hpp"

namespace maru::actors {

agent_actor agent_state::me() const {
  return caf::actor_cast<agent_actor>(caf::actor_cast<agent_self>(self));
}

// On its way to disk before anything is tried: the question may kill again before its attempt begins.
void agent_state::count(const queued_question& q) {
  std::vector<storage::part> parts{
      storage::defer_entry{mailbox, q.answer, svc->time->unix_ms(), q.failures, q.losses}};
  self->send(svc->store, storage::step{svc->under(who.room), std::move(parts)}, next_ticket++,
             caf::actor_cast<commit_client>(caf::actor_cast<agent_self>(self)));
}

namespace {

finish_answer buried(burial why, std::string_view reason) {
  finish_answer end;
  end.how = ending::failed;
  end.reason = reason;
  end.bury = word(why);
  return end;
}

} // namespace

// No further attempt.
void agent_state::bury(burial why, std::string_view reason) {
  auto& w = *work;
  w.gate_open = true;
  w.attempt = std::max(1U, w.q.attempt);
  w.state = answer_state::recovering;
  if (w.q.attempt > 0) take_loss();
  ask_end(buried(why, reason));
}

// The same for one that waits its turn. Asked again until the room says that it is closed.
void agent_state::give_up(const queued_question& q, burial why) {
  if (!room) return find_room();
  auto end = buried(why, word(why));
  end.answer = q.answer;
  end.attempt = std::max(1U, q.attempt);
  self->send(room, std::move(end), me());
}

// What was lost with many processes may be what ends them: it is tried ever more slowly, never dropped.
std::uint32_t agent_state::wait_before() const {
  const auto losses = work->q.losses;
  if (!work->q.recovered || losses <= limits::losses_without_wait) return 0;
  const auto doublings = std::min(losses - limits::losses_without_wait - 1, 16U);
  return std::min(limits::loss_backoff_most_ms, limits::loss_backoff_first_ms << doublings);
}

void agent_state::take_up() {
  svc->reach("agent.begin");
  if (is_over(work->q)) return bury(burial::expired);
  if (settings.name.empty()) {
    spdlog::warn("room {}: agent {} is not in the configuration any more: its question {} becomes a dead "
                 "letter, to be requeued once it is there again",
                 who.room.str(), who.agent, work->q.question.str());
    return bury(burial::refused, "no_such_agent");
  }
  auto& w = *work;
  w.gate_open = !w.q.recovered && w.q.attempt > 0;
  w.attempt = std::max(1U, w.q.attempt + (w.q.recovered ? 1 : 0));
  if (w.q.recovered) w.state = answer_state::recovering;
  read_context();
}

// The model is called while the question is on its way to the disk. Its parent is there.
void agent_state::go_ahead(question_ordered& what) {
  auto& w = *work;
  w.ahead = true;
  llm::turn last{llm::role::user, std::move(what.text)};
  if (!what.has_parent) {
    context_read all{w.q.answer, false, {}, 0, {}};
    all.turns.push_back(std::move(last));
    return take_context(all);
  }
  read_into(
      self, svc->store, caf::actor_cast<agent_self>(self),
      [room = who.room, name = who.agent, answer = w.q.answer, parent = what.parent, last = std::move(last),
       budget = settings.context_tokens](storage::reader& from) {
        context_read read{answer, false, context_above(from, room, parent, name, budget), 0, {}};
        read.turns.push_back(last);
        return read;
      },
      [answer = w.q.answer](const std::string&) { return context_read{answer, true, {}, 0, {}}; });
}

// The question that was gone ahead with is on disk: what was held back is told.
void agent_state::on_disk() {
  auto& w = *work;
  w.ahead = false;
  w.gate_open = true;
  if (!room) {
    find_room();
  } else {
    tell_call();
    if (w.n > 0) {
      w.state = answer_state::streaming;
      self->send(room, pieces_made{w.q.answer, w.attempt, w.n, static_cast<std::uint32_t>(w.n), w.text});
    }
  }
  if (w.finish) return ask_end(std::move(*w.finish));
  if (w.failed_early) return failed(*std::exchange(w.failed_early, std::nullopt));
  checkpoint();
}

void agent_state::read_context() {
  if (work->ahead) return wake_in(limits::commit_again_ms, agent_wake::context);
  ++work->context_reads;
  const bool keep = work->q.recovered && continues();
  read_into(
      self, svc->store, caf::actor_cast<agent_self>(self),
      [room = who.room, name = who.agent, q = work->q, keep,
       budget = settings.context_tokens](storage::reader& from) {
        context_read read;
        read.answer = q.answer;
        read.turns = context_of(from, room, q.question, name, budget);
        if (!keep) return read;
        if (auto kept = from.checkpoint(q.answer)) {
          read.base_n = kept->n;
          read.base_text = std::move(kept->text);
        }
        return read;
      },
      [answer = work->q.answer](const std::string&) { return context_read{answer, true, {}, 0, {}}; });
}

void agent_state::take_context(context_read& read) {
  svc->reach("agent.context");
  if (!work || work->q.answer != read.answer || work->have_turns) return;
  auto& w = *work;
  if (read.failed) return wake_in(limits::commit_again_ms, agent_wake::context);
  w.have_turns = true;
  w.turns = llm::within_budget(settings.system_prompt, std::move(read.turns), settings.context_tokens);
  w.base_n = w.n = read.base_n;
  w.text = std::move(read.base_text);
  w.base_bytes = w.text.size();
  if (w.q.recovered) take_loss();
  if (!w.gate_open && !w.ahead) commit_begin();
  call_model();
}

// The attempt is on disk before anything of it is told; the model may be called meanwhile.
void agent_state::commit_begin() {
  auto& w = *work;
  std::vector<storage::part> parts;
  w.spent_told = w.spent.size();
  parts.push_back(storage::begin_attempt{w.q.answer, w.attempt, w.q.provider_failures, w.spent});
  if (w.q.recovered)
    parts.push_back(
        storage::defer_entry{mailbox, w.q.answer, svc->time->unix_ms(), w.q.failures, w.q.losses});
  if (w.base_bytes > 0)
    parts.push_back(
        storage::append_checkpoint{{w.q.answer, w.attempt, w.base_n, w.text.substr(0, w.base_bytes)}, 0});
  w.begin_ticket = next_ticket++;
  self->send(svc->store, storage::step{svc->under(who.room), std::move(parts)}, w.begin_ticket,
             caf::actor_cast<commit_client>(caf::actor_cast<agent_self>(self)));
}

void agent_state::committed(const commit_done& done) {
  svc->reach("agent.committed");
  if (done.how.why == storage::failure::fenced || done.how.why == storage::failure::fatal)
    return self->quit(caf::make_error(caf::sec::runtime_error, "store: " + done.how.detail));
  if (!work || done.ticket == 0) return;
  if (work->keep_ticket == done.ticket) return kept(bool(done.how));
  if (work->begin_ticket != done.ticket) return;
  work->begin_ticket = 0;
  if (done.how) {
    work->spent.erase(0, work->spent_told);
    return open_gate();
  }
  if (done.how.why == storage::failure::conflict) {
    // It ended meanwhile.
    drop_call();
    work.reset();
    return next();
  }
  wake_in(limits::commit_again_ms, agent_wake::begin);
}

void agent_state::open_gate() {
  auto& w = *work;
  w.gate_open = true;
  w.kept_n = w.base_n;
  w.kept_bytes = w.base_bytes;
  w.keep_ticket = 0;
  w.keep_n = w.base_n;
  if (!room) return find_room();
  self->send(room, answer_begun{w.q.answer, w.attempt, w.state, w.base_n, w.text.substr(0, w.base_bytes)});
  tell_call();
  if (w.n > w.base_n)
    self->send(room, pieces_made{w.q.answer, w.attempt, w.n, static_cast<std::uint32_t>(w.n - w.base_n),
                                 w.text.substr(w.base_bytes)});
  if (w.finish) return tell_end();
  if (w.failed_early) return failed(*std::exchange(w.failed_early, std::nullopt));
  if (std::exchange(w.leaves, false)) use_next(true);
}

void agent_state::pieces(call_pieces& what) {
  if (!work || work->call != what.call) return;
  ++busy;
  svc->reach("agent.pieces");
  auto& w = *work;
  pieces_made made{w.q.answer, w.attempt, 0, 0, ""};
  for (auto& p : what.pieces)
    made.text += p;
  made.count = static_cast<std::uint32_t>(what.pieces.size());
  made.n = w.n + made.count;
  w.n = made.n;
  svc->counts->add(metric::answer_pieces, made.count);
  w.text += made.text;
  if (w.gate_open && room) {
    w.state = answer_state::streaming;
    self->send(room, std::move(made));
  }
  checkpoint();
}

void agent_state::ask_end(finish_answer how) {
  auto& w = *work;
  how.answer = w.q.answer;
  how.attempt = w.attempt;
  w.finish = std::move(how);
  if (!w.gate_open) return;
  if (!room) return find_room();
  tell_end();
}

void agent_state::tell_end() {
  work->finish->spent = work->spent;
  self->send(room, *work->finish, me());
}

// Appends what is new, at most every checkpoint_ms or checkpoint_pieces, where a new attempt could go on from
// it. One at a time: each has to stand on the one before.
void agent_state::checkpoint() {
  auto& w = *work;
  if (!w.gate_open || w.n == w.kept_n || w.keep_ticket != 0 || w.keep_failed || !continues()) return;
  const auto since = svc->time->steady_ms() - w.kept_at;
  if (since < limits::checkpoint_ms && w.n - w.kept_n < limits::checkpoint_pieces) {
    if (w.checkpoint_set) return;
    w.checkpoint_set = true;
    return wake_in(limits::checkpoint_ms - static_cast<std::uint32_t>(since), agent_wake::checkpoint);
  }
  keep();
}

void agent_state::keep() {
  auto& w = *work;
  const bool behind = w.keep_ticket != 0;
  std::vector<storage::part> parts{storage::append_checkpoint{
      {w.q.answer, w.attempt, w.n, w.text.substr(behind ? w.keep_bytes : w.kept_bytes)},
      behind ? w.keep_n : w.kept_n}};
  w.keep_ticket = next_ticket++;
  w.keep_n = w.n;
  w.keep_bytes = w.text.size();
  w.kept_at = svc->time->steady_ms();
  self->send(svc->store, storage::step{svc->under(who.room), std::move(parts)}, w.keep_ticket,
             caf::actor_cast<commit_client>(caf::actor_cast<agent_self>(self)));
}

// The process ends: the next one goes on from here, not from the last checkpoint.
void agent_state::leave(const caf::error& why) {
  if (work && work->gate_open && continues() && work->n > std::max(work->kept_n, work->keep_n)) keep();
  self->quit(why);
}

void agent_state::kept(bool on_disk) {
  auto& w = *work;
  w.keep_ticket = 0;
  if (on_disk) {
    w.kept_n = w.keep_n;
    w.kept_bytes = w.keep_bytes;
    return checkpoint();
  }
  w.keep_failed = true;
  wake_in(limits::commit_again_ms, agent_wake::checkpoint);
}

void agent_state::tell_call() {
  const auto& told = work->told;
  if (told.position > 0 || !told.provider.empty()) self->send(room, told);
}

// To a room that was started again: the whole text, and the end if it was asked for.
void agent_state::tell_so_far() {
  if (!work || !work->gate_open) return;
  auto& w = *work;
  const auto state = w.n > 0 ? answer_state::streaming : w.state;
  self->send(room, answer_resumed{{w.q.answer, w.q.question, who.agent, w.attempt, state, w.n, w.text}},
             me());
  tell_call();
  if (w.finish) tell_end();
}

} // namespace maru::actors
