// How a room talks with its agents: waking them, and taking what they say of running answers.

#include <caf/stateful_actor.hpp>

#include "actors/attempts.hpp"
#include "actors/common.hpp"
#include "actors/room_tell.hpp"
#include "config/limits.hpp"

namespace maru::actors {

// The parent has to be on disk, where the agent reads it: nothing else is under way.
void room_state::announce(const ordered& what, const std::optional<uuid>& parent) {
  if (!under_way.empty()) return;
  for (const auto& a : what.answers) {
    const auto it = agents.find(a.agent);
    if (it == agents.end() || !it->second.handle || unfinished[a.agent] != 1) continue;
    self->send(it->second.handle,
               question_ordered{a.answer, what.event.id, what.event.author_id, parent.has_value(),
                                parent.value_or(uuid{}), std::get<post_request>(what.what).what.text});
  }
}

void room_state::call_off(const ordered& what) {
  if (std::holds_alternative<post_request>(what.what))
    for (const auto& a : what.answers)
      close(a.agent, a.answer);
}

void room_state::wake(const std::string& agent, question_enqueued what) {
  auto& link = agents[agent];
  if (link.handle) return self->send(link.handle, std::move(what));
  link.waiting.push_back(std::move(what));
  if (link.asking) return;
  link.asking = true;
  self->request(svc->directory, caf::infinite, agent_name{id, agent})
      .then([this, agent](agent_actor& handle) { linked(agent, std::move(handle)); },
            [this, agent](const caf::error&) {
              // The sweeper finds the entry in the mailbox.
              agents[agent].asking = false;
              agents[agent].waiting.clear();
            });
}

void room_state::linked(const std::string& agent, agent_actor handle) {
  auto& link = agents[agent];
  if (!(link.handle == handle)) {
    if (link.handle) self->demonitor(link.handle.address());
    link.handle = handle;
    self->monitor(handle);
  }
  link.asking = false;
  for (auto& q : link.waiting)
    self->send(link.handle, std::move(q));
  link.waiting.clear();
}

void room_state::close(const std::string& agent, const uuid& answer) {
  const auto it = agents.find(agent);
  if (it == agents.end()) return;
  std::erase_if(it->second.waiting, [&](const question_enqueued& q) { return q.answer == answer; });
  if (it->second.handle) self->send(it->second.handle, answer_closed{answer});
}

void room_state::resumed(answer_resumed& what, const agent_actor& from) {
  ++busy;
  const auto it = answers.find(what.so_far.answer);
  if (it == answers.end()) {
    if (loaded)
      self->send(from, answer_closed{what.so_far.answer});
    else
      held_agents[what.so_far.answer] = from;
    return;
  }
  auto& live = it->second;
  linked(live.fact.agent, from);
  if (live.ending || what.so_far.attempt < live.fact.attempt) return;
  live.fact.attempt = what.so_far.attempt;
  live.fact.state = what.so_far.state;
  live.fact.n = what.so_far.n;
  live.fact.text = std::move(what.so_far.text);
  tell(live.fact);
  heard(it->first, live);
}

void room_state::heard(const uuid& answer, live_answer& live) {
  if (!std::exchange(live.unheard, false) || live.ending) return;
  auto stops = stops_waiting.extract(answer);
  if (stops.empty()) return;
  for (auto& s : stops.mapped())
    request(std::move(s));
}

void room_state::begun(answer_begun& what) {
  ++busy;
  svc->reach("room.begun");
  const auto it = answers.find(what.answer);
  if (it == answers.end() || it->second.ending || what.attempt < it->second.fact.attempt) return;
  auto& fact = it->second.fact;
  fact.attempt = what.attempt;
  fact.state = what.state;
  fact.n = what.n;
  fact.text = std::move(what.text);
  it->second.base_bytes = fact.text.size();
  it->second.call = {};
  fact.position = 0;
  tell(fact);
  tell_line(fact.agent);
  heard(it->first, it->second);
}

void room_state::told(const call_told& what) {
  ++busy;
  const auto it = answers.find(what.answer);
  if (it == answers.end() || it->second.ending || what.attempt != it->second.fact.attempt) return;
  auto& live = it->second;
  live.call = what;
  if (!what.provider.empty()) live.called_at = svc->time->unix_ms();
  if (live.fact.position == what.position) return;
  live.fact.position = what.position;
  if (live.fact.state == answer_state::queued || live.fact.state == answer_state::thinking)
    live.fact.state = what.position > 0 ? answer_state::queued : answer_state::thinking;
  tell(live.fact);
  tell_line(live.fact.agent);
}

// The questions of one agent, in its order.
std::vector<live_answer*> room_state::line_of(const std::string& agent) {
  std::vector<live_answer*> line;
  for (auto& [answer, live] : answers)
    if (live.fact.agent == agent) line.push_back(&live);
  std::ranges::sort(line, {}, &live_answer::place);
  return line;
}

// Each waits behind the one before. Far back it is told now and then only: when somebody opens the room.
void room_state::tell_line(const std::string& agent) {
  if (const auto it = unfinished.find(agent); it == unfinished.end() || it->second < 2) return;
  const auto line = line_of(agent);
  for (std::size_t i = 1; i < line.size(); ++i) {
    const auto place = line[i - 1]->fact.position + 1;
    auto& fact = line[i]->fact;
    if (fact.state == answer_state::queued && std::exchange(fact.position, place) != place &&
        i <= limits::line_positions_told)
      tell(fact);
  }
}

// On the call that a stop cuts off.
std::string room_state::spent_on(const live_answer& live) const {
  if (live.call.provider.empty()) return {};
  const auto shown =
      std::string_view(live.fact.text).substr(std::min(live.base_bytes, live.fact.text.size()));
  return line_of_cost({live.call.attempt, live.call.provider, "stopped", live.called_at,
                       svc->time->unix_ms() - live.called_at, live.call.prompt_tokens,
                       llm::estimate_tokens(shown), true});
}

// Pieces of an older attempt, or after the end was ordered, are dropped: nothing follows an end.
void room_state::pieces(pieces_made& what) {
  ++busy;
  svc->reach("room.pieces");
  const auto it = answers.find(what.answer);
  if (it == answers.end() || it->second.ending) return;
  auto& fact = it->second.fact;
  if (what.attempt != fact.attempt || what.n - what.count != fact.n) return;
  if (!std::exchange(it->second.spoke, true) && it->second.asked_at > 0)
    svc->counts->observe(metric::answer_first_piece_seconds, seconds_since(it->second));
  fact.state = answer_state::streaming;
  fact.n = what.n;
  fact.text += what.text;
  tell(delta_fact{what.answer, what.attempt, what.n, what.count, std::move(what.text)});
}

} // namespace maru::actors
