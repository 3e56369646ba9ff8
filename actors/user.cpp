#include "actors/user.hpp"

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

// What ends something always goes through; the rest is held to the rate.
bool ends_something(const user_command& what) {
  return std::holds_alternative<stop_answer>(what.what) ||
         std::holds_alternative<cancel_scheduled>(what.what);
}

// Now; what is scheduled asks when its turn comes.
bool asks(const user_command& what) {
  const auto* post = std::get_if<post_message>(&what.what);
  return post != nullptr ? post->ask_room || !post->agents.empty()
                         : std::holds_alternative<retry_answer>(what.what);
}

// How a new one is to be refused, or one that asks an agent; what was taken before is not.
void refuse_new(user_command& what, const refusal& why) {
  std::visit(
      [&](auto& w) {
        if constexpr (requires { w.if_new; }) w.if_new = why;
      },
      what.what);
}
void refuse_asking(user_command& what, const refusal& why) {
  std::visit(
      [&](auto& w) {
        if constexpr (requires { w.if_asking; }) w.if_asking = why;
      },
      what.what);
}

} // namespace

void user_state::start() {
  tokens = svc->settings->limits.messages_per_minute_per_user;
  tokens_at = svc->time->steady_ms();
  tick_later();
}

void user_state::command(user_command what) {
  ++busy;
  svc->reach("user.command");
  if (!renamed.empty()) what.by.name = renamed;
  if (under_way.size() + held.size() >= limits::user_commands_under_way)
    return refuse(what,
                  {code::overloaded, "too many of your commands are under way", limits::retry_after_ms});
  if (ends_something(what)) return forward(std::move(what));
  // A resend of what was taken is answered all the same: the room knows.
  if (!within_rate()) {
    const auto per_minute = svc->settings->limits.messages_per_minute_per_user;
    refuse_new(what, {code::rate_limited, "you have sent too many messages within a minute",
                      limits::minute_ms / per_minute + 1});
    return forward(std::move(what));
  }
  what.question = svc->settings->limits.questions_waiting_per_user > 0 && asks(what);
  // What is posted keeps its order, also behind a question that waits.
  if (!what.question && held.empty()) return forward(std::move(what));
  held.push_back(std::move(what));
  admit();
}

bool user_state::within_rate() {
  const double per_minute = svc->settings->limits.messages_per_minute_per_user;
  if (per_minute == 0) return true;
  const auto now = svc->time->steady_ms();
  tokens =
      std::min(per_minute, tokens + static_cast<double>(now - tokens_at) * per_minute / limits::minute_ms);
  tokens_at = now;
  if (tokens < 1) return false;
  tokens -= 1;
  return true;
}

// `waiting` only grows here; when it seems to be full, the store is asked how many really wait.
void user_state::admit() {
  const auto most = svc->settings->limits.questions_waiting_per_user;
  while (!held.empty()) {
    const bool question = held.front().question;
    if (question && !counted) return count_waiting();
    if (question && waiting + questions_under_way >= most) {
      if (questions_under_way == 0) count_waiting();
      return;
    }
    auto next = std::move(held.front());
    held.pop_front();
    questions_under_way += question ? 1 : 0;
    forward(std::move(next));
  }
}

void user_state::take_count(const waiting_read& read) {
  counting = false;
  counted = !read.failed;
  waiting = read.count;
  const auto most = svc->settings->limits.questions_waiting_per_user;
  const auto why = read.failed
                       ? refusal_of(storage::failure::unavailable)
                       : refusal{code::overloaded, "you have too many questions waiting for an answer",
                                 limits::retry_after_ms};
  const bool full = read.failed || (waiting >= most && questions_under_way == 0);
  for (auto& h : held)
    if (full && std::exchange(h.question, false)) refuse_asking(h, why);
  admit();
}

void user_state::count_waiting() {
  if (counting) return;
  counting = true;
  ++counts;
  read_into(
      self, svc->store, caf::actor_cast<user_self>(self),
      [id = id](storage::reader& from) { return waiting_read{false, from.unfinished_of(id)}; },
      [](const std::string&) { return waiting_read{true, 0}; });
}

void user_state::forward(user_command what) {
  const auto ticket = next_ticket++;
  const auto room = what.room;
  under_way.emplace(ticket, std::move(what));
  auto& link = rooms[room];
  link.tickets.push_back(ticket);
  if (link.handle)
    send(link, ticket);
  else
    find_room(room);
}

void user_state::send(const room_link& link, std::uint64_t ticket) {
  const auto it = under_way.find(ticket);
  if (it == under_way.end()) return;
  const auto me = caf::actor_cast<room_client>(caf::actor_cast<user_self>(self));
  std::visit([&](const auto& what) { self->send(link.handle, ticket, me, it->second.by, what); },
             it->second.what);
}

void user_state::find_room(const uuid& room) {
  auto& link = rooms[room];
  if (link.asking) return;
  link.asking = true;
  self->request(svc->directory, caf::infinite, room_atom::value, room)
      .then(
          [this, room](room_actor& handle) {
            auto& found = rooms[room];
            found.asking = false;
            found.handle = std::move(handle);
            ++rooms_found;
            self->monitor(found.handle);
            for (const auto ticket : found.tickets)
              send(found, ticket);
          },
          [this, room](const caf::error&) {
            rooms[room].asking = false;
            self->delayed_send(self, std::chrono::milliseconds(limits::resend_after_ms), user_tick{true});
          });
}

void user_state::done(command_done& how) {
  ++busy;
  const auto node = under_way.extract(how.ticket);
  if (node.empty()) return;
  const auto& what = node.mapped();
  std::erase(rooms[what.room].tickets, how.ticket);
  if (what.question) {
    --questions_under_way;
    if (!how.why && !how.duplicate && !how.answers.empty()) ++waiting;
  }
  how.ticket = what.ticket;
  self->send(what.client, std::move(how));
  admit();
}

void user_state::refuse(const user_command& what, refusal why) {
  self->send(what.client, command_done{what.ticket, std::move(why), 0, {}, false, {}});
}

void user_state::went_down(const caf::down_msg& down) {
  std::erase_if(devices, [&](const device& d) { return d.session == down.source; });
  tick_later();
  for (auto it = rooms.begin(); it != rooms.end(); ++it) {
    if (!it->second.handle || !(it->second.handle == down.source)) continue;
    it->second.handle = nullptr;
    if (it->second.tickets.empty())
      rooms.erase(it);
    else
      find_room(it->first);
    return;
  }
}

refusal user_state::join(const session_actor& session, const uuid& family) {
  ++busy;
  const auto it =
      std::find_if(devices.begin(), devices.end(), [&](const device& d) { return d.session == session; });
  if (it != devices.end()) {
    it->family = family;
    return {};
  }
  const auto most = svc->settings->limits.connections_per_user;
  if (most > 0 && devices.size() >= most) return {code::overloaded, "you have too many connections"};
  devices.push_back({session, family});
  self->monitor(session);
  return {};
}

void user_state::leave(const session_actor& session) {
  ++busy;
  self->demonitor(session.address());
  std::erase_if(devices, [&](const device& d) { return d.session == session; });
  if (!tick_set) busy_seen = busy;
  tick_later();
}

void user_state::revoke(const uuid& family) {
  for (const auto& d : devices)
    if (d.family == family) self->send(d.session, end_session{close_code::token_refused});
}

void user_state::tick(const user_tick& t) {
  if (t.rooms) {
    for (auto& [room, link] : rooms)
      if (!link.handle && !link.tickets.empty()) find_room(room);
    return;
  }
  tick_set = false;
  if (busy == busy_seen && devices.empty() && under_way.empty() && held.empty()) return self->quit();
  busy_seen = busy;
  tick_later();
}

void user_state::tick_later() {
  if (!devices.empty() || std::exchange(tick_set, true)) return;
  self->delayed_send(self, std::chrono::milliseconds(limits::user_idle_ms), user_tick{});
}

work_wait user_state::waits_for() const {
  if (counting) return {"its questions to be counted", counts};
  if (!under_way.empty())
    return {"a command to be taken by its room", under_way.begin()->first + rooms_found, true};
  return {};
}

user_self::behavior_type user(user_self::stateful_pointer<user_state> self, shared_services svc, uuid id) {
  auto& s = self->state;
  end_on_exception(self, [&s] { return "user " + s.id.str(); });
  s.svc = std::move(svc);
  s.id = id;
  tells_of_work(self, [&s] { return s.waits_for(); });
  self->set_down_handler([&s](const caf::down_msg& down) { s.went_down(down); });
  s.start();
  return {
      [&s](std::uint64_t ticket, const room_client& client, person& by, const uuid& room,
           post_message& what) { s.command({ticket, client, std::move(by), room, std::move(what), false}); },
      [&s](std::uint64_t ticket, const room_client& client, person& by, const uuid& room, stop_answer& what) {
        s.command({ticket, client, std::move(by), room, std::move(what), false});
      },
      [&s](std::uint64_t ticket, const room_client& client, person& by, const uuid& room,
           retry_answer& what) { s.command({ticket, client, std::move(by), room, std::move(what), false}); },
      [&s](std::uint64_t ticket, const room_client& client, person& by, const uuid& room,
           schedule_message& what) {
        s.command({ticket, client, std::move(by), room, std::move(what), false});
      },
      [&s](std::uint64_t ticket, const room_client& client, person& by, const uuid& room,
           cancel_scheduled& what) { s.command({ticket, client, std::move(by), room, what, false}); },
      [&s](command_done& how) { s.done(how); },
      [&s](const session_actor& session, const uuid& family) { return s.join(session, family); },
      [&s](std::string& name) { s.renamed = std::move(name); },
      [&s](const session_actor& session) { s.leave(session); },
      [&s](const uuid& family) { s.revoke(family); },
      [&s](const waiting_read& read) { s.take_count(read); },
      [&s](const user_tick& t) { s.tick(t); },
  };
}

} // namespace maru::actors
