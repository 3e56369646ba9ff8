#include "actors/api.hpp"

#include <algorithm>
#include <charconv>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <sodium.h>

#include "actors/account_rules.hpp"
#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/scheduled.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

const refusal no_room{code::not_found, "there is no such room for you"};
const refusal gone{code::overloaded, "this was interrupted; try again", limits::retry_after_ms};

refusal unreadable() { return refusal_of(storage::failure::unavailable); }

// "<unix ms>.<uuid>": the last room of the page before.
std::optional<storage::rooms_cursor> parse_cursor(const std::string& text) {
  const auto dot = text.find('.');
  storage::rooms_cursor cursor;
  if (dot == std::string::npos) return std::nullopt;
  const auto end = text.data() + dot;
  const auto [stopped, failed] = std::from_chars(text.data(), end, cursor.active_at);
  if (failed != std::errc{} || stopped != end) return std::nullopt;
  const auto room = uuid::parse(std::string_view(text).substr(dot + 1));
  if (!room) return std::nullopt;
  cursor.room = *room;
  return cursor;
}

api::room_view view_of(storage::room_summary& s) {
  api::room_view view{std::move(s.room), {}, s.unread, s.members, s.read};
  if (!s.last) return view;
  view.last = fact_of(*s.last);
  event_data::shorten(view.last->data);
  return view;
}

schedule_message schedule_of(api::schedule_message& from) {
  schedule_message out;
  out.id = std::move(from.id);
  out.key = from.key;
  out.text = std::move(from.text);
  out.ask_room = !from.agents.has_value();
  if (from.agents) out.agents = std::move(*from.agents);
  out.at = from.at.value_or(0);
  out.cron = std::move(from.cron);
  out.zone = std::move(from.zone);
  return out;
}

// Nothing for what somebody who looks after the server has to treat.
std::optional<api::scheduled_item> item_of(storage::reader& from, const storage::mailbox_entry& entry) {
  auto what = scheduled_of(entry.body);
  if (!what || !entry.owner) return std::nullopt;
  const auto author = from.account(*entry.owner);
  api::scheduled_item out{entry.id,
                          *entry.owner,
                          author ? author->display_name : "",
                          "",
                          false,
                          {},
                          entry.visible_at,
                          std::move(what->cron),
                          std::move(what->zone),
                          entry.enqueued_at};
  out.text = text::prefix(what->text, limits::brief_text_bytes);
  out.cut = out.text.size() < what->text.size();
  if (!what->ask_room) out.agents = std::move(what->agents);
  return out;
}

template <class... Kinds>
bool is_one_of(const api::request& what) {
  return (std::holds_alternative<Kinds>(what) || ...);
}

bool for_administrators(const api::request& what) {
  return is_one_of<api::get_tree, api::may_observe, api::list_users, api::add_user, api::change_user,
                   api::list_mailboxes, api::list_entries, api::purge_entry, api::list_dead, api::get_dead,
                   api::treat_dead, api::treat_all_dead>(what);
}

bool same_secret(const std::string& one, const std::string& other) {
  return one.size() == other.size() && sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

} // namespace

void api_state::take(std::string& token, api::request& what, api::replied& tell) {
  svc->reach("api.take");
  const auto fail = [tell](const caf::error&) { tell(gone); };
  const bool operator_asks = !svc->control_token.empty() && same_secret(token, svc->control_token);
  if (operator_asks && for_administrators(what)) return administer({}, what, std::move(tell));
  if (is_one_of<api::signup, api::login, api::refresh, api::logout, api::get_me, api::change_me>(what)) {
    self->request(svc->accounts, caf::infinite, std::move(token), std::move(what))
        .then([tell](api::reply& reply) { tell(std::move(reply)); }, fail);
    return;
  }
  self->request(svc->accounts, caf::infinite, std::move(token))
      .then(
          [this, what = std::move(what), tell](api::reply& reply) mutable {
            if (auto* who = std::get_if<identity>(&reply)) return serve(*who, what, std::move(tell));
            tell(std::move(reply));
          },
          fail);
}

void api_state::serve(const identity& who, api::request& what, api::replied tell) {
  if (std::holds_alternative<api::identify>(what)) return tell(who);
  if (std::holds_alternative<api::list_agents>(what)) return list_agents(tell);
  if (const auto* r = std::get_if<api::list_rooms>(&what)) return list_rooms(who, *r, std::move(tell));
  if (auto* r = std::get_if<api::create_room>(&what)) return create_room(who, *r, std::move(tell));
  if (const auto* r = std::get_if<api::get_room>(&what)) return get_room(who, *r, std::move(tell));
  if (const auto* r = std::get_if<api::get_events>(&what)) return get_events(who, *r, std::move(tell));
  if (const auto* r = std::get_if<api::get_answer>(&what)) return get_answer(who, *r, std::move(tell));
  if (auto* p = std::get_if<api::post_message>(&what))
    return command(who, p->room, post_of(*p), std::move(tell));
  if (auto* s = std::get_if<api::stop_answer>(&what))
    return command(who, s->room, stop_answer{std::move(s->id), s->key, s->answer}, std::move(tell));
  if (auto* r = std::get_if<api::retry_answer>(&what))
    return command(who, r->room, retry_answer{std::move(r->id), r->key, r->answer, {}, {}}, std::move(tell));
  if (auto* s = std::get_if<api::schedule_message>(&what))
    return command(who, s->room, schedule_of(*s), std::move(tell));
  if (const auto* c = std::get_if<api::cancel_scheduled>(&what))
    return command(who, c->room, cancel_scheduled{c->schedule}, std::move(tell));
  if (const auto* l = std::get_if<api::list_scheduled>(&what))
    return list_scheduled(who, *l, std::move(tell));
  if (who.role != admin_role) return tell(refusal{code::forbidden, "for administrators"});
  administer({who.user, who.username}, what, std::move(tell));
}

void api_state::list_agents(const api::replied& tell) const {
  api::agents_view view;
  for (const auto& a : svc->settings->agents)
    view.agents.push_back({a.name, a.model});
  tell(std::move(view));
}

void api_state::list_rooms(const identity& who, const api::list_rooms& what, api::replied tell) {
  std::optional<storage::rooms_cursor> before;
  if (what.cursor && !(before = parse_cursor(*what.cursor)))
    return tell(refusal{code::invalid_field, "cursor: use `next` of the page before"});
  const auto most = std::clamp<std::size_t>(what.limit, 1, limits::rooms_page);
  run_read read;
  read.job = [user = who.user, before, most, tell](storage::reader& from) {
    api::rooms_view view;
    for (auto& s : from.rooms_of(user, before, most))
      view.rooms.push_back(view_of(s));
    if (view.rooms.size() == most)
      view.next = std::to_string(view.rooms.back().room.active_at) + "." + view.rooms.back().room.id.str();
    tell(std::move(view));
  };
  read.failed = [tell](const std::string&) { tell(unreadable()); };
  self->send(svc->store, std::move(read));
}

void api_state::create_room(const identity& who, api::create_room& what, api::replied tell) {
  std::vector<std::string> agents;
  if (!what.agents && !svc->settings->agents.empty()) agents.push_back(svc->settings->agents.front().name);
  for (auto& a : what.agents.value_or(std::vector<std::string>{})) {
    const auto& all = svc->settings->agents;
    if (std::none_of(all.begin(), all.end(), [&](const auto& c) { return c.name == a; }))
      return tell(refusal{code::invalid_field, "agents: there is no agent '" + a + "'"});
    if (std::find(agents.begin(), agents.end(), a) == agents.end()) agents.push_back(std::move(a));
  }
  const auto now = svc->time->unix_ms();
  storage::room_row row{uuid::v7(now), std::move(what.title), std::move(agents), who.user, now, 0, 1, now};
  std::vector<storage::part> parts;
  parts.push_back(storage::create_room{row});
  parts.push_back(storage::add_member{{row.id, who.user, "owner", now, 0}});
  const auto ticket = next_ticket++;
  const auto shard = svc->under(row.id);
  commits.emplace(ticket, api_commit{std::move(tell), api::room_view{std::move(row), {}, 0, 1, 0}});
  self->send(svc->store, storage::step{shard, std::move(parts)}, ticket,
             caf::actor_cast<commit_client>(caf::actor_cast<api_self>(self)));
}

void api_state::get_room(const identity& who, const api::get_room& what, api::replied tell) {
  run_read read;
  read.job = [user = who.user, room = what.room, tell](storage::reader& from) {
    auto found = from.room_for(room, user);
    if (!found) return tell(no_room);
    tell(view_of(*found));
  };
  read.failed = [tell](const std::string&) { tell(unreadable()); };
  self->send(svc->store, std::move(read));
}

void api_state::get_events(const identity& who, const api::get_events& what, api::replied tell) {
  const auto most = std::clamp<std::size_t>(what.limit, 1, limits::events_page);
  run_read read;
  read.job = [user = who.user, what, most, tell](storage::reader& from) {
    const auto row = from.room(what.room);
    if (!row || !from.member(what.room, user)) return tell(no_room);
    api::events_view view{{}, row->head, row->floor};
    const auto rows = what.after ? from.events_after(what.room, *what.after, most, limits::events_page_bytes)
                                 : from.events_before(what.room, what.before.value_or(row->head + 1), most,
                                                      limits::events_page_bytes);
    for (const auto& r : rows)
      view.events.push_back(fact_of(r));
    tell(std::move(view));
  };
  read.failed = [tell](const std::string&) { tell(unreadable()); };
  self->send(svc->store, std::move(read));
}

void api_state::get_answer(const identity& who, const api::get_answer& what, api::replied tell) {
  run_read read;
  read.job = [user = who.user, what, tell](storage::reader& from) {
    if (!from.member(what.room, user)) return tell(no_room);
    const auto row = from.answer(what.answer);
    if (!row || row->room != what.room)
      return tell(refusal{code::not_found, "answer: there is no such answer in this room"});
    api::answer_view view{{}, attempts_in(row->spent)};
    for (auto& a : from.answers_of(row->question, row->agent))
      if (a.row.id == what.answer) view.how = std::move(a);
    tell(std::move(view));
  };
  read.failed = [tell](const std::string&) { tell(unreadable()); };
  self->send(svc->store, std::move(read));
}

void api_state::list_scheduled(const identity& who, const api::list_scheduled& what, api::replied tell) {
  run_read read;
  read.job = [user = who.user, room = what.room, tell](storage::reader& from) {
    if (!from.member(room, user)) return tell(no_room);
    api::scheduled_view view;
    for (const auto& entry : from.entries(mailbox_of(room), limits::scheduled_per_room))
      if (auto item = item_of(from, entry)) view.items.push_back(std::move(*item));
    std::stable_sort(view.items.begin(), view.items.end(),
                     [](const auto& one, const auto& other) { return one.at < other.at; });
    tell(std::move(view));
  };
  read.failed = [tell](const std::string&) { tell(unreadable()); };
  self->send(svc->store, std::move(read));
}

template <class Command>
void api_state::command(const identity& who, const uuid& room, Command what, api::replied tell) {
  const auto ticket = next_ticket++;
  commands.emplace(ticket, api_command{std::move(tell), who.user, {}, {}});
  const auto me = caf::actor_cast<room_client>(caf::actor_cast<api_self>(self));
  const person by{who.user, who.display_name};
  auto& link = users[who.user];
  ++link.under_way;
  if (link.handle) return self->send(link.handle, ticket, me, by, room, std::move(what));
  self->request(svc->directory, caf::infinite, user_atom::value, who.user)
      .then(
          [this, user = who.user, ticket, me, by, room, what = std::move(what)](user_actor& found) mutable {
            auto& known = users[user];
            if (!known.handle) {
              known.handle = found;
              self->monitor(found);
            }
            self->send(found, ticket, me, by, room, std::move(what));
          },
          [this, ticket](const caf::error&) {
            command_done failed;
            failed.ticket = ticket;
            failed.why = gone;
            done(failed);
          });
}

void api_state::done(command_done& how) {
  const auto node = commands.extract(how.ticket);
  if (node.empty()) return;
  // To let go of a room is to let go of it for all that wait for it.
  const auto& room = node.mapped().room;
  if (room && std::ranges::none_of(commands, [&](const auto& c) { return c.second.room == room; }))
    self->demonitor(room.address());
  const auto user = users.find(node.mapped().user);
  if (user != users.end() && --user->second.under_way == 0) {
    if (user->second.handle) self->demonitor(user->second.handle.address());
    users.erase(user);
  }
  if (how.why) return node.mapped().tell(how.why);
  node.mapped().tell(api::posted{how.event, how.seq, how.duplicate, std::move(how.answers)});
}

void api_state::committed(const commit_done& done) {
  if (const auto purge = purges.extract(done.ticket); !purge.empty()) return purged(purge.mapped(), done.how);
  const auto node = commits.extract(done.ticket);
  if (node.empty()) return;
  if (!done.how) return node.mapped().tell(refusal_of(done.how.why));
  if (const auto* made = std::get_if<api::room_view>(&node.mapped().with))
    self->send(svc->relay, room_news{made->room, {}, made->members, {{made->room.created_by, 0}}});
  node.mapped().tell(std::move(node.mapped().with));
}

void api_state::went_down(const caf::down_msg& down) {
  std::vector<std::function<void()>> lost;
  std::erase_if(commands, [&](auto& c) {
    const bool its = c.second.room && c.second.room == down.source;
    if (its) lost.push_back(std::move(c.second.lost));
    return its;
  });
  for (const auto& send_again : lost)
    send_again();
  for (auto it = users.begin(); it != users.end(); ++it) {
    if (!it->second.handle || !(it->second.handle == down.source)) continue;
    const auto user = it->first;
    users.erase(it);
    std::erase_if(commands, [&](auto& c) {
      if (c.second.user != user) return false;
      c.second.tell(gone);
      return true;
    });
    return;
  }
}

void api_state::hello(connection_ptr from, identity who, hello_in what, std::uint32_t tries) {
  if (!what.session) what.session = uuid::v7(svc->time->unix_ms());
  self->request(svc->directory, caf::infinite, session_atom::value, *what.session)
      .then(
          [this, from, who, what, tries](const session_actor& found) {
            self->request(found, caf::infinite, socket_attached{from, who, what.client})
                .then([] {},
                      [this, from, who, what, tries](const caf::error&) {
                        // It was just leaving; another one begins.
                        if (tries >= limits::passivated_most) return from->close(close_code::overloaded);
                        hello(from, who, what, tries + 1);
                      });
          },
          [from](const caf::error&) { from->close(close_code::overloaded); });
}

api_self::behavior_type api_service(api_self::stateful_pointer<api_state> self, shared_services svc) {
  end_on_exception(self, "api");
  auto& s = self->state;
  s.svc = std::move(svc);
  self->set_down_handler([&s](const caf::down_msg& down) { s.went_down(down); });
  return {
      [&s](std::string& token, api::request& what, api::replied& tell) { s.take(token, what, tell); },
      [&s](const connection_ptr& from, const identity& who, const hello_in& what) {
        s.hello(from, who, what, 1);
      },
      [&s](command_done& how) { s.done(how); },
      [&s](const commit_done& done) { s.committed(done); },
      [&s](dead_read& read) { s.take_dead(read); },
      [&s](const entry_read& read) { s.take_entry(read); },
  };
}

} // namespace maru::actors
