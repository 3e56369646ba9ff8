// What a room keeps for later, in its durable mailbox: it is made, dropped, and taken out of the dead
// letters. Of two commits that change one entry the second waits for the first: what comes first holds, and
// the later one is told so.

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/command_mark.hpp"
#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

const refusal no_room{code::not_found, "there is no such room for you"};
const refusal not_scheduled{code::not_found,
                            "nothing of this id is scheduled here: it was delivered, dropped, or never was"};

refusal quota(const std::string& detail) { return {code::quota_exceeded, detail, limits::retry_after_ms}; }

} // namespace

// What the store holds; commits under way there are none.
void room_state::take_entries(const std::vector<storage::entry_head>& stored) {
  mailbox.clear();
  for (const auto& e : stored)
    mailbox[e.id] = {e.owner.value_or(uuid{}), e.visible_at, false};
}

void room_state::read_aside(room_request what, std::function<void(storage::reader&, schedule_read&)> fetch) {
  const auto number = next_aside++;
  aside.emplace(number, std::move(what));
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [number, fetch = std::move(fetch)](storage::reader& from) {
        schedule_read read;
        read.aside = number;
        fetch(from, read);
        return read;
      },
      [number](const std::string&) {
        schedule_read read;
        read.aside = number;
        read.failed = true;
        return read;
      });
}

void room_state::take_schedule(schedule_read& read) {
  svc->reach("room.scheduled");
  auto node = aside.extract(read.aside);
  if (node.empty()) return;
  auto what = std::move(node.mapped());
  if (!loaded || broken) return request(std::move(what));
  if (read.failed) return refuse_all(what, refusal_of(storage::failure::unavailable));
  if (auto* s = std::get_if<schedule_request>(&what)) return take_schedule(std::move(*s), read);
  take_letter(std::get<revive_request>(std::move(what)), read);
}

// --- made --------------------------------------------------------------------------------------------------

void room_state::schedule(schedule_request what) {
  svc->reach("room.schedule");
  if (missing || !is_member(what.by.id)) return refuse(what.waiters, no_room);
  const command_key key{what.by.id, what.what.key};
  if (is_repeat(key, mark_of(what.what), false, what.waiters)) return;
  const auto fetch = [room = id, key, what = what.what, now = svc->time->unix_ms()](storage::reader& from,
                                                                                    schedule_read& read) {
    read.taken = from.command(room, key.author, key.id);
    read.of_author = from.entries_of(key.author);
    if (!read.taken) read.turn = first_turn(what, now);
  };
  read_aside(std::move(what), fetch);
}

void room_state::take_schedule(schedule_request what, const schedule_read& read) {
  const auto mark = mark_of(what.what);
  if (is_repeat({what.by.id, what.what.key}, mark, false, what.waiters)) return;
  if (const auto& row = read.taken; row && row->mark == mark)
    return accept(what.waiters, {mark, row->seq, row->event, {}}, true);
  if (read.taken) return refuse(what.waiters, {code::conflict, "id: was used for another command"});
  if (const auto why = may_not_schedule(what, read)) return refuse(what.waiters, why);
  order_schedule(std::move(what), *read.turn);
}

// Bounds of the room hold strictly; those of a person are passed by what is scheduled in several rooms at one
// moment.
refusal room_state::may_not_schedule(const schedule_request& what, const schedule_read& read) const {
  if (what.what.if_new) return what.what.if_new;
  if (!read.turn) return read.turn.error();
  post_message post;
  post.ask_room = what.what.ask_room;
  post.agents = what.what.agents;
  if (const auto agents = agents_asked(post); !agents) return agents.error();
  if (mailbox.size() >= limits::scheduled_per_room)
    return quota("this room has " + std::to_string(limits::scheduled_per_room) +
                 " scheduled messages; drop one first");
  const auto here = static_cast<std::size_t>(std::count_if(
      mailbox.begin(), mailbox.end(), [&](const auto& e) { return e.second.owner == what.by.id; }));
  if (std::max(here, read.of_author) >= limits::scheduled_per_person)
    return quota("you have " + std::to_string(limits::scheduled_per_person) +
                 " scheduled messages; drop one first");
  return {};
}

void room_state::order_schedule(schedule_request what, std::int64_t at) {
  const auto now = svc->time->unix_ms();
  auto& message = what.what;
  storage::mailbox_entry entry;
  entry.mailbox = mailbox_of(id);
  entry.id = uuid::v7(now);
  entry.kind = scheduled_kind;
  entry.body = to_json({message.text, message.ask_room, message.agents, message.cron, message.zone, at});
  entry.enqueued_at = now;
  entry.visible_at = at;
  entry.owner = what.by.id;

  ordered o;
  o.key = command_key{what.by.id, message.key};
  o.mark = mark_of(message);
  const kept_entry after{what.by.id, at, false};
  const auto made = entry.id;
  std::vector<storage::part> parts;
  parts.push_back(storage::record_command{{id, what.by.id, message.key, o.mark, 0, made, "[]"}});
  parts.push_back(storage::enqueue{std::move(entry)});
  o.what = std::move(what);
  commit_entry(std::move(o), made, after, std::move(parts));
}

// --- dropped -----------------------------------------------------------------------------------------------

void room_state::cancel(cancel_request what) {
  svc->reach("room.cancel");
  if (!what.by_operator && (missing || !is_member(what.by.id))) return refuse(what.waiters, no_room);
  const auto it = mailbox.find(what.schedule);
  if (it == mailbox.end()) return refuse(what.waiters, not_scheduled);
  if (!what.by_operator && what.by.id != it->second.owner && what.by.id != row.created_by)
    return refuse(what.waiters, {code::forbidden, "only its author or the room's owner may drop it"});
  if (it->second.changing) {
    cancels_waiting[what.schedule].push_back(std::move(what));
    return;
  }
  ordered o;
  const auto entry = what.schedule;
  o.what = std::move(what);
  commit_entry(std::move(o), entry, std::nullopt, {storage::remove_entry{mailbox_of(id), entry}});
}

// --- out of the dead letters -------------------------------------------------------------------------------

void room_state::revive(revive_request what) {
  svc->reach("room.revive");
  if (missing) return refuse(what.waiters, {code::conflict, "its room is not there"});
  const auto fetch = [id = what.schedule](storage::reader& from, schedule_read& read) {
    read.letter = from.dead_letter_of(id);
  };
  read_aside(std::move(what), fetch);
}

void room_state::take_letter(revive_request what, const schedule_read& read) {
  const auto entry = what.schedule;
  if (!read.letter || read.letter->entry.mailbox != mailbox_of(id) || mailbox.contains(entry))
    return refuse(what.waiters, {code::not_found, "there is no such dead letter"});
  if (mailbox.size() >= limits::scheduled_per_room)
    return refuse(what.waiters, quota("its room has too many scheduled messages; drop one first"));
  const kept_entry after{read.letter->entry.owner.value_or(uuid{}), svc->time->unix_ms(), false};
  ordered o;
  o.what = std::move(what);
  commit_entry(std::move(o), entry, after, {storage::requeue_dead{entry, after.visible_at}});
}

// --- all of these ------------------------------------------------------------------------------------------

void room_state::commit_entry(ordered what, const uuid& entry, std::optional<kept_entry> after,
                              std::vector<storage::part> parts) {
  auto& kept = mailbox[entry];
  if (after) kept.owner = after->owner;
  kept.changing = true;
  what.entry = entry;
  what.entry_after = after;
  commit(std::move(what), std::move(parts));
}

void room_state::entry_changed(const ordered& what) {
  auto& counts = *svc->counts;
  const auto* shelved = std::get_if<shelve_request>(&what.what);
  if (std::holds_alternative<post_request>(what.what))
    count_entries(counts, metric::mailbox_handled, mailbox_kind::room);
  if (shelved != nullptr && shelved->why)
    count_burial(counts, mailbox_kind::room, word(*shelved->why));
  else if (shelved != nullptr)
    count_entries(counts, metric::mailbox_postponed, mailbox_kind::room);
  else if (what.entry_after)
    count_entries(counts, metric::mailbox_enqueued, mailbox_kind::room);

  if (what.entry_after)
    mailbox[*what.entry] = *what.entry_after;
  else
    mailbox.erase(*what.entry);
  if (auto waiting = cancels_waiting.extract(*what.entry); !waiting.empty())
    for (auto& c : waiting.mapped())
      request(std::move(c));
}

} // namespace maru::actors
