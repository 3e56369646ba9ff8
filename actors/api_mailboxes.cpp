// What mailboxes hold, and the ways back of what was given up of them. An act is logged with who, what and
// how many.

#include <algorithm>
#include <charconv>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/api.hpp"
#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

const refusal gone{code::overloaded, "this was interrupted; try again", limits::retry_after_ms};
const refusal no_letter{code::not_found, "there is no such dead letter"};
const refusal no_entry{code::not_found, "there is no such entry"};
const refusal bad_cursor{code::invalid_field, "cursor: use `next` of the page before"};

std::size_t page_of(std::size_t limit) { return std::clamp<std::size_t>(limit, 1, limits::mailboxes_page); }

// A number that a page before gave; nothing where it is none.
std::optional<std::uint64_t> number_of(const std::string& text) {
  std::uint64_t out = 0;
  const auto* end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, out);
  return failed == std::errc{} && at == end ? std::optional(out) : std::nullopt;
}

template <class Job>
void read_for(const shared_services& svc, api_self::stateful_pointer<api_state> self,
              const api::replied& tell, Job job) {
  run_read read;
  read.job = [job = std::move(job), tell](storage::reader& from) { tell(job(from)); };
  read.failed = [tell](const std::string&) { tell(refusal_of(storage::failure::unavailable)); };
  self->send(svc->store, std::move(read));
}

api::reply page(storage::reader& from, const api::list_mailboxes& what) {
  api::mailboxes_view view;
  view.mailboxes = from.mailboxes(what.cursor.value_or(""), page_of(what.limit));
  if (view.mailboxes.size() == page_of(what.limit)) view.next = view.mailboxes.back().mailbox;
  return view;
}

api::reply page(storage::reader& from, const api::list_entries& what, std::uint64_t after) {
  api::entries_view view;
  view.entries = from.entries(what.mailbox, page_of(what.limit), after);
  if (view.entries.size() == page_of(what.limit)) view.next = std::to_string(view.entries.back().seq);
  return view;
}

api::reply page(storage::reader& from, const api::list_dead& what, std::optional<std::uint64_t> before) {
  api::dead_list_view view;
  view.letters = from.dead(what.which, before, page_of(what.limit));
  if (view.letters.size() == page_of(what.limit)) view.next = std::to_string(view.letters.back().number);
  return view;
}

api::reply letter(storage::reader& from, const uuid& id) {
  auto found = from.dead_letter_of(id);
  if (!found) return no_letter;
  return api::dead_view{std::move(*found), from.answer(id)};
}

std::string described(const dead_round& round) {
  if (round.one) return "dead letter " + round.one->str() + " of " + round.letters.front().entry.mailbox;
  auto out = std::to_string(round.so_far.done) + " dead letters";
  if (round.which.mailbox) out += " of " + *round.which.mailbox;
  if (round.which.reason) out += " with reason " + *round.which.reason;
  return out;
}

} // namespace

// False: it is about something else.
bool api_state::mailboxes(const person& by, api::request& what, const api::replied& tell) {
  const auto cursor = [](const auto& list) { return list.cursor ? number_of(*list.cursor) : std::nullopt; };
  const auto refused = [&](const auto& list) {
    const bool bad = list.cursor && !number_of(*list.cursor);
    if (bad) tell(bad_cursor);
    return bad;
  };
  if (const auto* r = std::get_if<api::list_mailboxes>(&what)) {
    read_for(svc, self, tell, [r = *r](storage::reader& from) { return page(from, r); });
  } else if (const auto* r = std::get_if<api::list_entries>(&what)) {
    if (!refused(*r))
      read_for(svc, self, tell, [r = *r, after = cursor(*r).value_or(0)](storage::reader& from) {
        return page(from, r, after);
      });
  } else if (const auto* r = std::get_if<api::purge_entry>(&what)) {
    purge_entry(by, *r, tell);
  } else if (const auto* r = std::get_if<api::list_dead>(&what)) {
    if (!refused(*r))
      read_for(svc, self, tell,
               [r = *r, before = cursor(*r)](storage::reader& from) { return page(from, r, before); });
  } else if (const auto* r = std::get_if<api::get_dead>(&what)) {
    read_for(svc, self, tell, [id = r->id](storage::reader& from) { return letter(from, id); });
  } else if (const auto* r = std::get_if<api::treat_dead>(&what)) {
    treat({by, r->how, r->id, {}, {}, tell, {}, 0, 0, {}, {}});
  } else if (const auto* r = std::get_if<api::treat_all_dead>(&what)) {
    if (!refused(*r)) treat({by, r->how, {}, r->which, cursor(*r), tell, {}, 0, 0, {}, {}});
  } else {
    return false;
  }
  return true;
}

void api_state::treat(dead_round round) { read_dead(std::make_shared<dead_round>(std::move(round))); }

void api_state::read_dead(const dead_round_ptr& round) {
  read_into(
      self, svc->store, caf::actor_cast<api_self>(self),
      [round](storage::reader& from) {
        dead_read read{round, false, {}};
        if (!round->one)
          read.letters = from.dead(round->which, round->before, limits::dead_treated);
        else if (auto found = from.dead_letter_of(*round->one))
          read.letters.push_back(std::move(*found));
        return read;
      },
      [round](const std::string&) { return dead_read{round, true, {}}; });
}

void api_state::take_dead(dead_read& read) {
  auto& round = *read.round;
  if (read.failed) return round.tell(refusal_of(storage::failure::unavailable));
  if (round.one && read.letters.empty()) return round.tell(no_letter);
  round.letters = std::move(read.letters);
  if (round.letters.empty()) return finish(read.round);
  const bool more = !round.one && round.letters.size() == limits::dead_treated;
  round.so_far.next = more ? std::to_string(round.letters.back().number) : "";
  svc->reach("api.treat");
  if (round.how == api::dead_act::purge)
    purge(read.round);
  else
    requeue_next(read.round);
}

// All of them or none; where somebody else took one meanwhile, those that are left.
void api_state::purge(const dead_round_ptr& round) {
  std::vector<storage::part> parts;
  for (const auto& l : round->letters)
    parts.push_back(storage::purge_dead{l.entry.id});
  const auto ticket = next_ticket++;
  purges.emplace(ticket, round);
  self->send(svc->store, storage::step{svc->under(round->letters.front().entry.id), std::move(parts)}, ticket,
             caf::actor_cast<commit_client>(caf::actor_cast<api_self>(self)));
}

void api_state::purged(const dead_round_ptr& round, const storage::outcome& how) {
  if (how.why == storage::failure::conflict && ++round->tries < limits::room_redo_most)
    return read_dead(round);
  if (!how) return round->tell(refusal_of(how.why));
  round->so_far.done = round->letters.size();
  finish(round);
}

// To the room, which is started if need be. It may fall over the command: then the next one gets it, some
// times. What it did before it fell is on disk, and the next one says that there is no such thing any more.
template <class Command>
void api_state::tell_room(const uuid& room, Command what, const room_told& tell, std::uint32_t tries) {
  const auto again = [this, room, what, tell, tries] {
    if (tries >= limits::room_redo_most) return tell(gone, true);
    tell_room(room, what, tell, tries + 1);
  };
  self->request(svc->directory, caf::infinite, room_atom::value, room)
      .then(
          [this, what, tell, tries, again](const room_actor& found) {
            const auto ticket = next_ticket++;
            const api::replied done = [tell, tries](api::reply how) { tell(std::move(how), tries > 0); };
            commands.emplace(ticket, api_command{done, {}, found, again});
            self->monitor(found);
            self->send(found, ticket, caf::actor_cast<room_client>(caf::actor_cast<api_self>(self)), what);
          },
          [again](const caf::error&) { again(); });
}

// One after the other: each is a commit of its room.
void api_state::requeue_next(const dead_round_ptr& round) {
  if (round->at == round->letters.size()) return finish(round);
  const auto& entry = round->letters[round->at].entry;
  const room_told tell = [this, round](api::reply how, bool again) {
    requeued(round, std::move(how), again);
  };
  if (const auto agent = agent_of(entry.mailbox); agent && entry.kind == question_kind)
    return tell_room(agent->room, requeue_answer{entry.id}, tell);
  if (const auto room = room_of(entry.mailbox); room && entry.kind == scheduled_kind)
    return tell_room(*room, requeue_scheduled{entry.id}, tell);
  tell(refusal{code::conflict, "nobody knows how to take up a '" + entry.kind + "'"}, false);
}

void api_state::requeued(const dead_round_ptr& round, api::reply how, bool again) {
  const auto* why = std::get_if<refusal>(&how);
  const bool is_gone = why != nullptr && why->why == code::not_found;
  if (why == nullptr || (is_gone && again))
    ++round->so_far.done;
  else if (!is_gone) // otherwise somebody else has taken it
    round->so_far.refused.push_back({round->letters[round->at].entry.id, *why});
  if (is_gone && again)
    how =
        refusal{code::conflict, "its room fell over it; it is no dead letter any more: it has been taken up"};
  round->last = std::move(how);
  ++round->at;
  requeue_next(round);
}

// --- what waits --------------------------------------------------------------------------------------------

void api_state::purge_entry(const person& by, const api::purge_entry& what, const api::replied& tell) {
  read_into(
      self, svc->store, caf::actor_cast<api_self>(self),
      [by, tell, id = what.id](storage::reader& from) { return entry_read{by, tell, false, from.entry(id)}; },
      [by, tell](const std::string&) { return entry_read{by, tell, true, {}}; });
}

void api_state::take_entry(const entry_read& read) {
  if (read.failed) return read.tell(refusal_of(storage::failure::unavailable));
  if (!read.entry) return read.tell(no_entry);
  const auto room = room_of(read.entry->mailbox);
  if (!room) return read.tell(refusal{code::conflict, "a question ends with its answer: stop that"});
  const auto what = "scheduled message " + read.entry->id.str() + " of " + read.entry->mailbox;
  tell_room(*room, cancel_scheduled{read.entry->id},
            [by = read.by, tell = read.tell, what](const api::reply& how, bool again) {
              const auto* why = std::get_if<refusal>(&how);
              if (why != nullptr && (why->why != code::not_found || !again)) return tell(how);
              spdlog::info("{} purged {}", name_of(by), what);
              tell(api::treated{1, {}, ""});
            });
}

// -----------------------------------------------------------------------------------------------------------

void api_state::finish(const dead_round_ptr& round) {
  const bool requeues = round->how == api::dead_act::requeue;
  if (round->so_far.done > 0)
    spdlog::info("{} {} {}", name_of(round->by), requeues ? "requeued" : "purged", described(*round));
  if (round->one && requeues) return round->tell(std::move(round->last));
  round->tell(std::move(round->so_far));
}

} // namespace maru::actors
