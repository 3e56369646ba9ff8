// The pipeline of a room's commits, and what follows each: publication, or reading again.

#include <caf/stateful_actor.hpp>

#include "actors/command_mark.hpp"
#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room_tell.hpp"
#include "config/limits.hpp"

namespace maru::actors {

namespace {

bool same_command(const ordered& what, const std::string& taken) {
  const auto* post = std::get_if<post_request>(&what.what);
  return same_mark(what.mark, taken, post != nullptr && post->what.parent_is == parent_rule::newest);
}

} // namespace

std::vector<waiter>* waiters_of(room_request& what) {
  if (auto* n = std::get_if<note_request>(&what)) return &n->stop.waiters;
  return std::visit(
      [](auto& w) -> std::vector<waiter>* {
        if constexpr (requires { w.waiters; }) return &w.waiters;
        return nullptr;
      },
      what);
}

std::uint32_t& tries_of(room_request& what) {
  if (auto* n = std::get_if<note_request>(&what)) return n->stop.tries;
  return std::visit(
      [](auto& w) -> std::uint32_t& {
        if constexpr (requires { w.tries; }) return w.tries;
        std::abort(); // a note, above
      },
      what);
}

bool is_due_entry(const room_request& what) {
  const auto* post = std::get_if<post_request>(&what);
  return std::holds_alternative<shelve_request>(what) || (post != nullptr && post->of);
}

event_fact room_state::next_event(const std::string& kind, const std::string& author_kind, const uuid& author,
                                  const std::string& author_name) {
  const auto now = svc->time->unix_ms();
  return {next_seq++, uuid::v7(now), kind, now, author_kind, author, author_name, ""};
}

storage::event_row room_state::row_of(const event_fact& fact, std::optional<uuid> parent,
                                      std::optional<uuid> reply_to) const {
  return {id,        fact.seq, fact.id,
          fact.kind, fact.at,  {fact.author_kind, fact.author_id, fact.author_name},
          parent,    reply_to, fact.data};
}

void room_state::commit(ordered what, std::vector<storage::part> parts) {
  what.ticket = next_ticket++;
  if (what.key) keys_under_way[*what.key] = what.ticket;
  self->send(svc->store, storage::step{svc->under(id), std::move(parts)}, what.ticket,
             caf::actor_cast<commit_client>(caf::actor_cast<room_self>(self)));
  under_way.push_back(std::move(what));
}

void room_state::committed(commit_done& done) {
  if (auto marks = being_saved.extract(done.ticket); !marks.empty())
    return saved(std::move(marks.mapped()), done.how);
  ++busy;
  svc->reach("room.committed");
  const auto it = std::find_if(under_way.begin(), under_way.end(),
                               [&](const ordered& o) { return o.ticket == done.ticket; });
  if (it == under_way.end()) return;
  auto what = std::move(*it);
  under_way.erase(it);
  if (what.key) keys_under_way.erase(*what.key);
  if (done.how)
    publish(what);
  else
    refused(std::move(what), done.how);
  if (broken && under_way.empty()) read_again();
}

void room_state::publish(ordered& what) {
  if (what.event.seq > 0) tell_event(what.event, !is_due_entry(what.what));
  taken_command how{what.mark, what.event.seq, what.event.id, what.answers};
  if (const auto* p = std::get_if<post_request>(&what.what)) {
    publish_asked(what, what.event.id, p->by.id);
  } else if (const auto* r = std::get_if<retry_request>(&what.what)) {
    publish_asked(what, r->row.question, r->row.asker);
    how.seq = *r->row.end_seq;
    how.event = *r->row.end_event;
  } else if (const auto* n = std::get_if<note_request>(&what.what)) {
    how.seq = n->seq;
    how.event = n->event;
  } else if (what.entry) {
    how.event = *what.entry;
  } else {
    publish_end(what);
  }
  if (what.entry) entry_changed(what);
  if (const auto* waiters = waiters_of(what.what)) accept(*waiters, how, false);
  if (what.key) remember(*what.key, std::move(how));
}

// The first of an idle agent is begun, the others wait their turn.
void room_state::publish_asked(const ordered& what, const uuid& question, const uuid& asker) {
  for (const auto& a : what.answers) {
    const bool first = std::none_of(answers.begin(), answers.end(),
                                    [&](const auto& other) { return other.second.fact.agent == a.agent; });
    auto& live = answers[a.answer];
    live.asker = asker;
    live.asked_at = svc->time->steady_ms();
    live.place = next_place++;
    live.fact = {a.answer, question, a.agent, 1, first ? answer_state::thinking : answer_state::queued,
                 0,        ""};
    if (!first) {
      const auto line = line_of(a.agent);
      live.fact.position = line[line.size() - 2]->fact.position + 1;
    }
    tell(live.fact);
    wake(a.agent, {a.answer, question, first ? 1U : 0U, true, what.expires_at, asker});
  }
  count_entries(*svc->counts, metric::mailbox_enqueued, mailbox_kind::agent, what.answers.size());
}

void room_state::publish_end(ordered& what) {
  const auto it = answers.find(what.answer);
  if (it != answers.end()) {
    count_end_of(it->second, what.what);
    const auto agent = it->second.fact.agent;
    answers.erase(it);
    close(agent, what.answer);
    tell_line(agent);
  }
  const auto stops = stops_waiting.extract(what.answer);
  if (!stops.empty())
    for (auto& s : stops.mapped())
      request(std::move(s));
}

void room_state::count_end_of(const live_answer& live, const room_request& what) {
  auto& counts = *svc->counts;
  std::string_view how = "stopped";
  std::string_view buried; // why; "": it is not
  if (const auto* finished = std::get_if<finish_request>(&what)) {
    const auto& end = finished->how;
    how = end.how == ending::answered ? std::string_view{"answered"} : end.reason;
    if (end.how == ending::answered) {
      counts.add_at(metric::answer_tokens, static_cast<std::size_t>(token_kind::prompt), end.prompt_tokens);
      counts.add_at(metric::answer_tokens, static_cast<std::size_t>(token_kind::completion),
                    end.completion_tokens);
    }
    buried = end.bury;
  }
  if (!buried.empty())
    count_burial(counts, mailbox_kind::agent, buried);
  else
    count_entries(counts, metric::mailbox_handled, mailbox_kind::agent);
  counts.add_at(metric::answers, counts.at(metric::answers, how));
  if (live.asked_at > 0) counts.observe(metric::answer_seconds, seconds_since(live));
}

double room_state::seconds_since(const live_answer& live) const {
  return static_cast<double>(svc->time->steady_ms() - live.asked_at) / 1000;
}

void room_state::finish(finish_request what) {
  svc->reach("room.finish");
  const auto it = answers.find(what.how.answer);
  if (it == answers.end() || it->second.ending || what.how.attempt < it->second.fact.attempt) return;
  auto& live = it->second;
  live.fact.attempt = what.how.attempt;
  const bool answered = what.how.how == ending::answered;
  if (!answered)
    live.fact.text = what.how.text.size() > live.fact.text.size() ? what.how.text : live.fact.text;
  auto data =
      answered ? event_data::answered(live.fact, what.how) : event_data::failed(live.fact, what.how.reason);
  order_end(std::move(what), live, answered ? "answer" : "answer_failed", std::move(data));
}

// From here on the answer is ended; what still comes for it is dropped.
void room_state::order_end(room_request what, live_answer& live, const std::string& kind, std::string data) {
  live.ending = true;
  ordered o;
  o.answer = live.fact.answer;
  o.event = next_event(kind, "agent", {}, live.fact.agent);
  o.event.data = std::move(data);
  if (kind == "answer") {
    tail = o.event.id;
    know(o.event.id);
  }
  if (const auto it = unfinished.find(live.fact.agent); it != unfinished.end() && --it->second == 0)
    unfinished.erase(it);

  std::vector<storage::part> parts;
  if (auto* s = std::get_if<stop_request>(&what)) {
    o.key = command_key{s->by.id, s->what.key};
    o.mark = mark_of_stop(o.answer);
    parts.push_back(
        storage::record_command{{id, s->by.id, s->what.key, o.mark, o.event.seq, o.event.id, "[]"}});
  }
  parts.push_back(storage::append_event{row_of(o.event, live.fact.question, std::nullopt)});
  const auto* finished = std::get_if<finish_request>(&what);
  parts.push_back(storage::end_answer{o.answer, o.event.seq, o.event.id,
                                      finished != nullptr ? finished->how.spent : spent_on(live)});
  const auto mailbox = mailbox_of(id, live.fact.agent);
  if (finished != nullptr && !finished->how.bury.empty())
    parts.push_back(storage::bury_entry{mailbox, o.answer, finished->how.bury, o.event.at});
  else
    parts.push_back(storage::remove_entry{mailbox, o.answer});
  o.what = std::move(what);
  commit(std::move(o), std::move(parts));
}

void room_state::refused(ordered what, const storage::outcome& how) {
  call_off(what);
  // Who asked for this end says no more of its attempt; another agent may begin one while the end waits.
  if (const auto it = answers.find(what.answer);
      it != answers.end() && std::holds_alternative<finish_request>(what.what))
    it->second.ending = false;
  switch (how.why) {
  case storage::failure::duplicate:
    broken = true;
    return taken_before(what, how);
  case storage::failure::conflict:
    broken = true;
    return broken_why ? refuse_all(what.what, broken_why) : order_anew(what, how.detail);
  case storage::failure::fenced:
  case storage::failure::fatal:
    refuse_all(what.what, refusal_of(how.why));
    return self->quit(caf::make_error(caf::sec::runtime_error, "store: " + how.detail));
  default:
    broken = true;
    broken_why = refusal_of(how.why);
    refuse_all(what.what, broken_why);
  }
}

void room_state::taken_before(ordered& what, const storage::outcome& how) {
  const auto& waiters = *waiters_of(what.what);
  const auto& first = how.duplicate_of;
  if (!first || !same_command(what, first->mark))
    return refuse(waiters, {code::conflict, "id: was used for another command"});
  accept(waiters, {first->mark, first->seq, first->event, event_data::parse_asked(first->answers)}, true);
}

void room_state::order_anew(ordered& what, const std::string& why) {
  if (is_due_entry(what.what)) return; // it is found again by the next sweep
  if (++tries_of(what.what) <= limits::room_redo_most) {
    redo.push_back(std::move(what.what));
    return;
  }
  spdlog::error("room {}: a commit was refused again and again: {}", id.str(), why);
  refuse_all(what.what, {code::internal, "this could not be stored", limits::retry_after_ms});
}

// Ends are not refused: they wait until the disk takes them.
void room_state::refuse_all(room_request& what, const refusal& why) {
  if (is_due_entry(what)) return;
  if (const auto* waiters = waiters_of(what)) return refuse(*waiters, why);
  later.push_back(std::get<finish_request>(std::move(what)));
  if (later.size() == 1) wake_in(limits::commit_again_ms, room_wake::redo);
}

void room_state::read_again() {
  broken = false;
  broken_why = {};
  known.clear();
  known_order.clear();
  auto stops = std::move(stops_waiting);
  stops_waiting.clear();
  for (auto& [answer, list] : stops)
    for (auto& s : list)
      redo.emplace_back(std::move(s));
  for (auto& [entry, list] : std::exchange(cancels_waiting, {}))
    for (auto& c : list)
      redo.emplace_back(std::move(c));
  load();
}

void room_state::remember(const command_key& key, taken_command how) {
  if (!recent.emplace(key, std::move(how)).second) return;
  recent_order.push_back(key);
  if (recent_order.size() <= limits::room_recent_commands) return;
  recent.erase(recent_order.front());
  recent_order.pop_front();
}

void room_state::know(const uuid& event) {
  if (!known.insert(event).second) return;
  known_order.push_back(event);
  if (known_order.size() <= limits::room_recent_commands) return;
  known.erase(known_order.front());
  known_order.pop_front();
}

} // namespace maru::actors
