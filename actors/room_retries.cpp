// Answers that failed or were stopped, opened anew under a new id: by who asked, or by the operator out of
// the dead letters. What may not be, the store refuses in the same commit: of two at a time one is taken.

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/command_mark.hpp"
#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room.hpp"

namespace maru::actors {

void room_state::retry(retry_request what) {
  svc->reach("room.retry");
  if (missing && what.by_operator) return refuse(what.waiters, {code::conflict, "its room is not there"});
  if (!what.by_operator && (missing || !is_member(what.by.id)))
    return refuse(what.waiters, {code::not_found, "there is no such room for you"});
  const command_key key{what.by.id, what.what.key};
  if (!what.by_operator && is_repeat(key, mark_of_retry(what.what.answer), false, what.waiters)) return;
  const auto number = next_aside++;
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [number, room = id, key, answer = what.what.answer](storage::reader& from) {
        retried_read read;
        read.aside = number;
        read.taken = from.command(room, key.author, key.id);
        read.row = from.answer(answer);
        if (read.row) read.answers = from.answers_of(read.row->question, read.row->agent);
        read.dead = from.dead_letter_of(answer).has_value();
        return read;
      },
      [number](const std::string&) { return retried_read{number, true, {}, {}, {}, false}; });
  aside.emplace(number, std::move(what));
}

void room_state::take_retried(retried_read& read) {
  svc->reach("room.retried");
  auto node = aside.extract(read.aside);
  if (node.empty()) return;
  auto what = std::get<retry_request>(std::move(node.mapped()));
  if (!loaded || broken) return request(std::move(what));
  if (read.failed) return refuse(what.waiters, refusal_of(storage::failure::unavailable));
  if (!what.by_operator) {
    const auto mark = mark_of_retry(what.what.answer);
    if (is_repeat({what.by.id, what.what.key}, mark, false, what.waiters)) return;
    if (const auto& row = read.taken; row && row->mark == mark)
      return accept(what.waiters, {mark, row->seq, row->event, event_data::parse_asked(row->answers)}, true);
    if (read.taken) return refuse(what.waiters, {code::conflict, "id: was used for another command"});
  }
  if (const auto why = may_not_retry(what, read)) return refuse(what.waiters, why);
  what.row = std::move(*read.row);
  order_retry(std::move(what), read.dead);
}

refusal room_state::may_not_retry(const retry_request& what, const retried_read& read) const {
  const auto& row = read.row;
  if (what.by_operator && !read.dead) return {code::not_found, "there is no such dead letter"};
  if (!row || row->room != id)
    return {what.by_operator ? code::conflict : code::not_found,
            "answer: there is no such answer in this room"};
  if (!what.by_operator && row->asker != what.by.id)
    return {code::forbidden, "only who asked may have it answered again"};
  if (!row->end_seq) return {code::conflict, "answer: it has not ended"};
  for (const auto& other : read.answers)
    if (other.kind == "answer")
      return {code::conflict, other.row.id == row->id ? "answer: it is finished"
                                                      : "answer: the question has been answered since"};
  if (is_answering(row->question, row->agent))
    return {code::conflict, "answer: the question is being answered again already"};
  const auto& all = svc->settings->agents; // without a server nobody knows which it will have
  if (svc->agents &&
      std::none_of(all.begin(), all.end(), [&](const auto& a) { return a.name == row->agent; }))
    return {code::conflict, "answer: there is no agent '" + row->agent + "' any more"};
  if (what.what.if_new) return what.what.if_new;
  if (what.what.if_asking) return what.what.if_asking;
  return no_place_for({row->agent});
}

// What was read may be older than what has been ordered since.
bool room_state::is_answering(const uuid& question, const std::string& agent) const {
  const auto same = [&](const ordered& o) {
    const auto* r = std::get_if<retry_request>(&o.what);
    return r != nullptr && r->row.question == question && r->row.agent == agent;
  };
  return std::any_of(under_way.begin(), under_way.end(), same) ||
         std::any_of(answers.begin(), answers.end(), [&](const auto& a) {
           return a.second.fact.question == question && a.second.fact.agent == agent;
         });
}

void room_state::order_retry(retry_request what, bool dead) {
  const auto& row = what.row;
  ordered o;
  o.answers.push_back({uuid::v7(svc->time->unix_ms()), row.agent});
  std::vector<storage::part> parts;
  if (!what.by_operator) {
    o.key = command_key{what.by.id, what.what.key};
    o.mark = mark_of_retry(what.what.answer);
    parts.push_back(storage::record_command{{id, what.by.id, what.what.key, o.mark, *row.end_seq,
                                             *row.end_event, event_data::asked_list(o.answers)}});
  }
  parts.push_back(storage::expect_unanswered{row.question, row.agent});
  open_answer(o, parts, o.answers.front(), row.question, row.question_seq, row.asker);
  // Whoever takes it up again: nobody else has to.
  if (dead) parts.push_back(storage::purge_dead{row.id});
  o.what = std::move(what);
  commit(std::move(o), std::move(parts));
}

} // namespace maru::actors
