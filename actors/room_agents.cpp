// How a room talks with its agents: waking them, and taking what they say of running answers.

#include <caf/stateful_actor.hpp>

#include "actors/common.hpp"
#include "actors/room_tell.hpp"

namespace maru::actors {

// The parent has to be on disk, where the agent reads it: nothing else is under way.
void room_state::announce(const ordered& what, const std::optional<uuid>& parent) {
  if (!under_way.empty()) return;
  for (const auto& a : what.answers) {
    const auto it = agents.find(a.agent);
    if (it == agents.end() || !it->second.handle || unfinished[a.agent] != 1) continue;
    self->send(it->second.handle,
               question_ordered{a.answer, what.event.id, parent.has_value(), parent.value_or(uuid{}),
                                std::get<post_request>(what.what).what.text});
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
  tell(fact);
  heard(it->first, it->second);
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
