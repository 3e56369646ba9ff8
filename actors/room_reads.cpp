// What the members of a room have read, and what their lists are told of it.

#include <caf/stateful_actor.hpp>

#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room_tell.hpp"
#include "config/limits.hpp"

namespace maru::actors {

// However it ends, what was read is kept; the next life reads behind this step.
room_state::~room_state() {
  if (unsaved.empty() || missing || !svc->store) return;
  caf::anon_send(svc->store, storage::step{svc->under(id), {storage::mark_read{id, std::move(unsaved)}}},
                 std::uint64_t{0}, commit_client{});
}

bool room_state::is_member(const uuid& account) const { return find(members, account) != nullptr; }

// One message for each node's relay. This node's is told always: members' lists wait there.
void room_state::tell_event(const event_fact& fact, bool author_was_there) {
  row.head = fact.seq;
  row.active_at = fact.at;
  last = fact;
  if (fact.author_kind == "user" && author_was_there) {
    const storage::read_mark own{fact.author_id, fact.seq};
    if (read_to(members, own)) note_unsaved(own);
  }
  const frame_head head{id, life, ++frame};
  auto news = news_for(members);
  for (const auto& relay : relays)
    if (!(relay == svc->relay)) self->send(relay, head, fact, news);
  self->send(svc->relay, head, fact, std::move(news));
}

room_news room_state::news_for(roster readers) const {
  return {row, {}, static_cast<std::uint32_t>(members.size()), std::move(readers)};
}

// What this life knows is newer than what the store has.
void room_state::take_members(const std::vector<storage::member_row>& stored) {
  const auto before = std::exchange(members, {});
  members.reserve(stored.size());
  for (const auto& m : stored)
    members.push_back({m.account, m.last_read});
  std::sort(members.begin(), members.end(),
            [](const auto& one, const auto& other) { return one.account < other.account; });
  for (const auto& m : before)
    read_to(members, m);
  for (const auto& m : unsaved)
    read_to(members, m);
  for (const auto& [ticket, marks] : being_saved)
    for (const auto& m : marks)
      read_to(members, m);
}

void room_state::take_reads(const members_read& what, const relay_actor& from) {
  roster readers;
  for (const auto& mark : what.marks) {
    const bool forward = read_to(members, mark);
    if (forward || !loaded) note_unsaved(mark);
    if (!forward && !(what.ended && what.tell)) continue;
    if (const auto* member = find(members, mark.account)) readers.push_back(*member);
  }
  if (what.ended) save_reads();
  if (!loaded || readers.empty()) return;
  auto news = news_for(std::move(readers));
  news.last = last;
  event_data::shorten(news.last.data);
  for (const auto& relay : relays)
    if (!(relay == from)) self->send(relay, news);
  if (what.tell) self->send(from, std::move(news));
}

void room_state::note_unsaved(const storage::read_mark& what) {
  note_read(unsaved, what);
  if (!std::exchange(saves_soon, true)) wake_in(limits::reads_kept_ms, room_wake::reads);
}

void room_state::save_reads() {
  if (unsaved.empty() || missing) return;
  svc->reach("room.reads");
  const auto ticket = next_ticket++;
  self->send(svc->store, storage::step{svc->under(id), {storage::mark_read{id, unsaved}}}, ticket,
             caf::actor_cast<commit_client>(caf::actor_cast<room_self>(self)));
  being_saved.emplace(ticket, std::exchange(unsaved, {}));
}

// What the disk did not take waits for the next time.
void room_state::saved(roster what, const storage::outcome& how) {
  if (how || how.why == storage::failure::fenced || how.why == storage::failure::fatal) return;
  for (const auto& mark : what)
    note_unsaved(mark);
}

} // namespace maru::actors
