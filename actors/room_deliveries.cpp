// What is due in the room's mailbox. One commit holds the effect of a turn and the entry's removal, or its
// move to the next turn: a turn is taken once, wherever anything falls. What the disk does not take is due
// still, and found by the next sweep.

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room.hpp"
#include "base/cron.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

due_entry look_up(storage::reader& from, storage::mailbox_entry entry, std::int64_t now) {
  due_entry out;
  if (entry.kind == scheduled_kind) out.what = scheduled_of(entry.body);
  if (entry.owner) {
    out.author = from.account(*entry.owner);
    out.waiting = from.unfinished_of(*entry.owner);
  }
  // A time zone may be gone with an update of the machine.
  if (out.what && !out.what->cron.empty() && !cron::parse(out.what->cron, out.what->zone)) out.what.reset();
  if (out.what) out.next = next_turn(*out.what, now);
  out.entry = std::move(entry);
  return out;
}

turn turn_of(const due_entry& from) {
  turn out{from.entry.id, from.entry.visible_at, from.entry.visible_at, from.next, ""};
  if (!from.what) return out;
  out.due = from.what->due;
  if (!from.next) return out;
  auto then = *from.what;
  then.due = *from.next;
  out.body = to_json(then);
  return out;
}

post_request request_of(const due_entry& from) {
  post_request out;
  out.by = {from.author->id, from.author->display_name};
  out.what.text = from.what->text;
  out.what.ask_room = from.what->ask_room;
  out.what.agents = from.what->agents;
  out.of = turn_of(from);
  return out;
}

} // namespace

void room_state::due() {
  if (!loaded || broken) {
    due_waits = true;
    return;
  }
  if (missing || reading_due) return;
  svc->reach("room.due");
  reading_due = true;
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [name = mailbox_of(id), now = svc->time->unix_ms()](storage::reader& from) {
        due_read read;
        for (auto& entry : from.entries_due(name, now, limits::scheduled_at_once))
          read.entries.push_back(look_up(from, std::move(entry), now));
        return read;
      },
      [](const std::string&) { return due_read{true, {}}; });
}

void room_state::take_due(due_read& read) {
  reading_due = false;
  if (!loaded || broken || read.failed || read.entries.empty()) return;
  ++busy;
  if (std::exchange(after_crash, false) && read.entries.front().entry.visible_at <= began_at)
    count_failure(read.entries.front());
  svc->reach("room.deliver");
  for (auto& entry : read.entries)
    deliver(entry);
}

// The life before may have died over it. Counted, on its way to the disk, before it is tried again.
void room_state::count_failure(due_entry& what) {
  auto& entry = what.entry;
  svc->counts->add(metric::mailbox_failures);
  if (++entry.failures >= limits::poison_failures) return; // it is buried at once
  self->send(svc->store,
             storage::step{svc->under(id),
                           {storage::defer_entry{entry.mailbox, entry.id, entry.visible_at, entry.failures,
                                                 entry.losses}}},
             next_ticket++, caf::actor_cast<commit_client>(caf::actor_cast<room_self>(self)));
}

// As a message that is posted, with what its author may do now. What was ordered since it was read comes
// first.
void room_state::deliver(due_entry& what) {
  const auto it = mailbox.find(what.entry.id);
  if (it == mailbox.end() || it->second.changing || it->second.visible_at != what.entry.visible_at) return;
  if (under_way.size() >= limits::room_commits_under_way) return;
  if (what.entry.failures >= limits::poison_failures) return give_up(what, burial::poison, "poison");
  if (!what.what) return give_up(what, burial::refused, "unreadable");
  if (!what.author || !is_member(what.author->id)) return give_up(what, burial::refused, "not_a_member");
  auto post = request_of(what);
  const auto agents = agents_asked(post.what);
  if (!agents) return give_up(what, burial::refused, "no_such_agent");
  const auto most = svc->settings->limits.questions_waiting_per_user;
  const bool author_waits = most > 0 && what.waiting >= most;
  if (!agents->empty() && (author_waits || no_place_for(*agents))) return postpone(what);
  order(std::move(post));
}

void room_state::take_turn(const turn& what, ordered& to, std::vector<storage::part>& parts) {
  auto& kept = mailbox.at(what.schedule);
  kept.changing = true;
  to.entry = what.schedule;
  if (what.next) {
    to.entry_after = kept_entry{kept.owner, *what.next, false};
    parts.push_back(
        storage::repeat_entry{mailbox_of(id), what.schedule, what.visible_at, *what.next, what.body});
  } else {
    parts.push_back(storage::remove_entry{mailbox_of(id), what.schedule});
  }
}

// The later it is already, the longer it waits again.
void room_state::postpone(const due_entry& what) {
  const auto now = svc->time->unix_ms();
  const auto wait =
      std::clamp<std::int64_t>(now - what.what->due, limits::postponed_first_ms, limits::postponed_most_ms);
  const auto& entry = what.entry;
  ordered o;
  o.what = shelve_request{};
  commit_entry(std::move(o), entry.id, kept_entry{mailbox.at(entry.id).owner, now + wait, false},
               {storage::defer_entry{entry.mailbox, entry.id, now + wait, entry.failures, entry.losses}});
}

// To the dead letters; those in the room are told, its author among them where they still are.
void room_state::give_up(const due_entry& what, burial why, const std::string& reason) {
  ordered o;
  o.event = next_event("system", "system", {}, "");
  const auto& entry = what.entry;
  o.event.data = event_data::not_sent(turn_of(what), entry.owner.value_or(uuid{}),
                                      what.author ? what.author->display_name : "", reason);
  spdlog::warn("room {}: scheduled message {} goes to the dead letters as {}: {}", id.str(), entry.id.str(),
               word(why), reason);
  o.what = shelve_request{why};
  std::vector<storage::part> parts{
      storage::append_event{row_of(o.event, std::nullopt, std::nullopt)},
      storage::bury_entry{entry.mailbox, entry.id, std::string(word(why)), o.event.at}};
  commit_entry(std::move(o), entry.id, std::nullopt, std::move(parts));
}

} // namespace maru::actors
