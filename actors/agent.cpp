#include "actors/agent.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

void agent_state::start() {
  for (const auto& a : svc->settings->agents)
    if (a.name == who.agent) settings = a;
  mailbox = mailbox_of(who.room, who.agent);
  read_mailbox();
  wake_in(limits::agent_idle_ms, agent_wake::idle);
}

void agent_state::read_mailbox() {
  if (reading) return;
  reading = true;
  ++reads;
  for (auto& q : queue)
    q.before_read = true;
  read_into(
      self, svc->store, caf::actor_cast<agent_self>(self),
      [mailbox = mailbox](storage::reader& from) {
        mailbox_read read;
        for (auto& e : from.entries(mailbox, limits::agent_questions_waiting))
          if (auto row = from.answer(e.id)) read.items.push_back({std::move(e), std::move(*row)});
        return read;
      },
      [](const std::string&) { return mailbox_read{true, {}}; }, svc->under(who.room));
}

void agent_state::read_anew() {
  read_again = reading; // what is being read may be older than what is to be found
  read_mailbox();
}

void agent_state::take_mailbox(mailbox_read& read) {
  svc->reach("agent.mailbox");
  if (read.failed) return wake_in(limits::commit_again_ms, agent_wake::mailbox);
  reading = false;
  std::deque<queued_question> now;
  for (auto& item : read.items) {
    const auto& a = item.answer;
    if (a.end_seq || closed_since_read.contains(a.id) || (work && work->q.answer == a.id)) continue;
    const auto known =
        std::find_if(queue.begin(), queue.end(), [&](const auto& q) { return q.answer == a.id; });
    if (known != queue.end()) {
      now.push_back(*known);
      now.back().before_read = false;
      queue.erase(known);
      continue;
    }
    // The agent before worked on the first and died over it. What else was begun in another life of the
    // process was lost with that; what was begun in this one comes straight from the room.
    const bool fatal = after_crash && !loaded && now.empty();
    const bool lost = a.attempt > 0 && item.entry.body != std::to_string(svc->life);
    if (fatal || lost) svc->counts->add(fatal ? metric::mailbox_failures : metric::mailbox_losses);
    now.push_back({a.id, a.question, a.attempt, a.provider_failures, item.entry.failures + (fatal ? 1 : 0),
                   item.entry.losses + (lost && !fatal ? 1 : 0), fatal || lost, false,
                   item.entry.expires_at.value_or(0), a.asker, a.spent});
    // The last is not waited for: it is buried at once.
    if (fatal && now.back().failures < limits::poison_failures) count(now.back());
  }
  closed_since_read.clear();
  // What was enqueued while the read was under way comes after what it found, and what it came too early for.
  const bool first_is_read = !now.empty();
  // What was there before and was not found has ended, and who would have said so fell.
  for (auto& q : queue)
    if (!q.before_read) now.push_back(q);
  queue = std::move(now);
  loaded = true;
  if (!queue.empty() && !room) find_room();
  if (first_is_read || !read_again) next();
  if (std::exchange(read_again, false)) read_mailbox();
}

void agent_state::ordered(question_ordered& what) {
  ++busy;
  svc->reach("agent.ordered");
  if (!room && self->current_sender()) found_room(caf::actor_cast<room_actor>(self->current_sender()));
  // Where anything else is to be done, it takes its turn when it is enqueued.
  if (!loaded || reading || work || !queue.empty()) return;
  take({what.answer, what.question, 1, 0, 0, 0, false, false, 0, what.asker, ""});
  go_ahead(what);
}

void agent_state::enqueued(const question_enqueued& what) {
  ++busy;
  svc->reach("agent.enqueued");
  if (!room && self->current_sender()) found_room(caf::actor_cast<room_actor>(self->current_sender()));
  if (work && work->q.answer == what.answer) {
    if (work->ahead) return on_disk();
    // A room that has just been read knows nothing of what it was told before.
    if (!what.fresh && room) tell_so_far();
    return;
  }
  if (std::any_of(queue.begin(), queue.end(), [&](const auto& q) { return q.answer == what.answer; })) return;
  if (!what.fresh) return read_anew();
  queue.push_back(
      {what.answer, what.question, what.attempt, 0, 0, 0, false, false, what.expires_at, what.asker, ""});
  if (loaded) next();
}

void agent_state::closed(const uuid& answer) {
  ++busy;
  std::erase_if(queue, [&](const auto& q) { return q.answer == answer; });
  if (reading) closed_since_read.insert(answer);
  if (work && work->q.answer == answer) {
    drop_call();
    work.reset();
  }
  next();
}

void agent_state::next() {
  // What is being read may come before what is known.
  if (!loaded || reading || work || queue.empty()) return;
  auto q = queue.front();
  queue.pop_front();
  ++busy;
  take(std::move(q));
  if (work->q.failures >= limits::poison_failures) return bury(burial::poison);
  if (const auto ms = wait_before()) return wake_in(ms, agent_wake::take_up);
  take_up();
}

void agent_state::take(queued_question q) {
  work.emplace();
  work->number = next_number++;
  work->q = std::move(q);
  take_record();
}

bool agent_state::is_over(const queued_question& q) const {
  return q.expires_at > 0 && q.expires_at <= svc->time->unix_ms();
}

// Asked every second as long as anything waits. What has expired behind a long answer ends now; that which is
// being written is not cut short.
void agent_state::due() {
  check_budget();
  // Its call waits in line, and none has run.
  if (work && !work->ahead && !work->called && !work->finish && is_over(work->q)) {
    drop_call();
    give_up_on(std::string(word(burial::expired)), burial::expired);
  }
  if (loaded && !work && queue.empty()) return read_mailbox();
  for (const auto& q : queue)
    if (is_over(q)) give_up(q, burial::expired);
}

void agent_state::wake_in(std::uint32_t ms, agent_wake why) {
  const bool of_work = why != agent_wake::idle && why != agent_wake::mailbox && why != agent_wake::room;
  if (work && of_work) work->rests_until = std::max(work->rests_until, svc->time->steady_ms() + ms);
  self->delayed_send(self, std::chrono::milliseconds(ms), agent_tick{why, work ? work->number : 0});
}

void agent_state::tick(const agent_tick& t) {
  if (t.why == agent_wake::idle) {
    if (busy == busy_seen && loaded && !work && queue.empty()) return self->quit();
    busy_seen = busy;
    return wake_in(limits::agent_idle_ms, agent_wake::idle);
  }
  if (t.why == agent_wake::mailbox) {
    reading = false;
    return read_mailbox();
  }
  if (t.why == agent_wake::room) return find_room();
  if (!work || work->number != t.work) return;
  if (t.why == agent_wake::take_up) take_up();
  if (t.why == agent_wake::context) read_context();
  if (t.why == agent_wake::begin && !work->gate_open && work->begin_ticket == 0) commit_begin();
  if (t.why == agent_wake::call) call_model();
  if (t.why == agent_wake::checkpoint) {
    work->checkpoint_set = work->keep_failed = false;
    checkpoint();
  }
}

void agent_state::find_room() {
  if (room || finding_room) return;
  finding_room = true;
  self->request(svc->directory, caf::infinite, room_atom::value, who.room)
      .then([this](room_actor& handle) { found_room(std::move(handle)); },
            [this](const caf::error&) {
              finding_room = false;
              wake_in(limits::resend_after_ms, agent_wake::room);
            });
}

void agent_state::found_room(room_actor handle) {
  finding_room = false;
  if (room == handle) return;
  room = std::move(handle);
  ++rooms_found;
  self->monitor(room);
  tell_so_far();
  if (!queue.empty()) read_anew(); // what ended as the room before fell was told to nobody
}

void agent_state::went_down(const caf::down_msg& down) {
  if (room && room == down.source) {
    room = nullptr;
    if (work && work->ahead) {
      // If it came to the disk, it is in the mailbox.
      drop_call();
      work.reset();
    }
    if (work || !queue.empty()) find_room();
    return;
  }
  if (work && work->caller && work->caller == down.source && work->call != 0) {
    // The caller fell without a word: as if the stream had been cut.
    llm::outcome cut;
    cut.what = llm::fault::cut;
    cut.retryable = true;
    cut.detail = "the caller ended";
    ended({work->call, std::move(cut)});
  }
}

// A model takes its time, within its provider's bounds, and so does the wait for a turn of it.
work_wait agent_state::waits_for() const {
  if (reading) return {"its mailbox to be read", reads};
  if (!work) return {};
  const auto& w = *work;
  if (w.begin_ticket != 0) return {"the beginning of an attempt to be stored", w.begin_ticket};
  if (w.keep_ticket != 0) return {"what was said so far to be stored", w.keep_ticket};
  if (!room && (w.gate_open || w.ahead)) return {"its room", w.number, true};
  if (w.ahead) return {"its question to be stored", w.number + rooms_found, true};
  if (w.finish) return {}; // its room has it, and waits for the disk
  if (w.call != 0 || svc->time->steady_ms() <= w.rests_until) return {};
  if (!w.have_turns) return {"what was said before to be read", w.context_reads};
  return {"nothing", w.number};
}

agent_self::behavior_type agent(agent_self::stateful_pointer<agent_state> self, shared_services svc,
                                agent_name who, bool after_crash) {
  end_on_exception(self, "agent " + who.room.str() + "/" + who.agent);
  auto& s = self->state;
  s.svc = std::move(svc);
  s.who = std::move(who);
  s.after_crash = after_crash;
  tells_of_work(self, [&s] { return s.waits_for(); });
  self->set_down_handler([&s](const caf::down_msg& down) { s.went_down(down); });
  self->set_exit_handler([&s](const caf::exit_msg& why) { s.leave(why.reason); });
  s.start();
  return {
      [&s](question_ordered& what) { s.ordered(what); },
      [&s](const question_enqueued& what) { s.enqueued(what); },
      [&s](due_atom) { s.due(); },
      [&s](const answer_closed& what) { s.closed(what.answer); },
      [&s](const call_placed& what) { s.placed(what); },
      [&s](call_pieces& what) { s.pieces(what); },
      [&s](const call_ended& what) { s.ended(what); },
      [&s](const commit_done& done) { s.committed(done); },
      [&s](mailbox_read& read) { s.take_mailbox(read); },
      [&s](context_read& read) { s.take_context(read); },
      [&s](const agent_tick& t) { s.tick(t); },
  };
}

} // namespace maru::actors
