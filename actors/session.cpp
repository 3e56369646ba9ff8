#include "actors/session.hpp"

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

class port final : public session_port {
public:
  explicit port(session_actor to) : to_(std::move(to)) {}
  void take(std::uint64_t connection, frame_in in, std::size_t bytes) override {
    caf::anon_send(to_, socket_frame{connection, std::move(in), bytes});
  }
  void drained(std::uint64_t connection) override { caf::anon_send(to_, socket_drained{connection}); }
  void gone(std::uint64_t connection) override { caf::anon_send(to_, socket_gone{connection}); }

private:
  session_actor to_;
};

session_actor handle(session_self::pointer self) {
  return caf::actor_cast<session_actor>(caf::actor_cast<session_self>(self));
}

} // namespace

// However it ends, nobody is left talking to a socket that nothing listens to.
session_state::~session_state() {
  if (!socket) return;
  caf::anon_send(svc->relay, socket_gone{socket->id()});
  socket->close(close_code::overloaded);
}

void session_state::attach(socket_attached& what) {
  svc->reach("session.attach");
  if (known && (who.user != what.who.user || who.family != what.who.family))
    return what.socket->close(close_code::forbidden);
  if (socket) {
    socket->close(close_code::taken_over);
    forget_rooms();
  }
  who = std::move(what.who);
  known = true;
  socket = std::move(what.socket);
  sent.clear();
  joins = 0;
  welcomed = false;
  find_user();
}

void session_state::find_user() {
  if (user) return join();
  self->request(svc->directory, caf::infinite, user_atom::value, who.user)
      .then(
          [this, connection = socket->id()](user_actor& found) {
            if (!socket || socket->id() != connection) return;
            user = std::move(found);
            join();
          },
          [this](const caf::error&) { end(close_code::overloaded); });
}

void session_state::join() {
  self->request(user, caf::infinite, handle(self), who.family)
      .then(
          [this, connection = socket->id()](const refusal& why) {
            if (!socket || socket->id() != connection) return;
            if (why) return end(close_code::too_many_connections);
            if (!std::exchange(joined, true)) self->monitor(user);
            check_family();
          },
          [this, connection = socket->id()](const caf::error&) {
            if (!socket || socket->id() != connection) return;
            // It was just leaving; another one begins.
            user = nullptr;
            if (++joins >= limits::passivated_most) return end(close_code::overloaded);
            find_user();
          });
}

// From here on the user's actor tells of a revocation; one that came before is asked for.
void session_state::check_family() {
  self->request(svc->accounts, caf::infinite, who.family)
      .then(
          [this, connection = socket->id()](const api::reply& how) {
            if (!socket || socket->id() != connection) return;
            if (const auto* why = std::get_if<refusal>(&how))
              return end(why->why == code::unauthenticated ? close_code::token_refused
                                                           : close_code::overloaded);
            welcome();
          },
          [this](const caf::error&) { end(close_code::overloaded); });
}

void session_state::welcome() {
  if (!socket) return;
  welcomed = true;
  // A stream of one room has no list beside it.
  self->send(svc->relay, socket_joined{socket, who.user, socket->may_continue()});
  socket->push(svc->codec->welcome({id, who.user, who.username, who.display_name}));
  socket->attach(std::make_shared<port>(handle(self)));
}

void session_state::lose(std::uint64_t connection) {
  if (!socket || socket->id() != connection) return;
  forget_rooms();
  const bool ends = !socket->may_continue();
  socket = nullptr;
  sent.clear();
  // It counts against the person's connections no longer, nor does it keep their actor.
  if (std::exchange(joined, false)) {
    self->demonitor(user.address());
    self->send(user, handle(self));
  }
  user = nullptr;
  if (ends) return self->quit();
  self->delayed_send(self, std::chrono::milliseconds(limits::session_linger_ms),
                     session_tick{session_wake::linger, ++losses});
}

void session_state::forget_rooms() {
  self->send(svc->relay, socket_gone{socket->id()});
  to_replay.clear();
  page_drains = false;
  for (auto& [room, sub] : open_rooms)
    if (sub.owner) self->demonitor(sub.owner.address());
  open_rooms.clear();
}

void session_state::end(close_code why) {
  if (socket) {
    socket->close(why);
    forget_rooms();
    socket = nullptr;
  }
  self->quit();
}

void session_state::take(socket_frame& what) {
  svc->reach("session.frame");
  if (!socket || socket->id() != what.connection) return;
  if (auto* s = std::get_if<send_in>(&what.in)) return send(*s, what.bytes);
  if (auto* s = std::get_if<stop_in>(&what.in)) return stop(*s, what.bytes);
  if (auto* r = std::get_if<retry_in>(&what.in)) return retry(*r, what.bytes);
  if (auto* o = std::get_if<open_in>(&what.in)) return open(*o, what.bytes);
  close(std::get<close_in>(what.in).room);
  socket->answer(nullptr, what.bytes);
}

void session_state::send(send_in& what, std::size_t bytes) {
  const auto ticket = next_number++;
  sent[ticket] = {what.id, what.room, socket->id(), bytes};
  self->send(user, ticket, caf::actor_cast<room_client>(handle(self)), by(), what.room, post_of(what));
}

void session_state::stop(stop_in& what, std::size_t bytes) {
  const auto ticket = next_number++;
  sent[ticket] = {what.id, what.room, socket->id(), bytes};
  self->send(user, ticket, caf::actor_cast<room_client>(handle(self)), by(), what.room,
             stop_answer{std::move(what.id), what.key, what.answer});
}

void session_state::retry(retry_in& what, std::size_t bytes) {
  const auto ticket = next_number++;
  sent[ticket] = {what.id, what.room, socket->id(), bytes};
  self->send(user, ticket, caf::actor_cast<room_client>(handle(self)), by(), what.room,
             retry_answer{std::move(what.id), what.key, what.answer, {}, {}});
}

void session_state::done(const command_done& how) {
  const auto node = sent.extract(how.ticket);
  if (node.empty() || !socket || socket->id() != node.mapped().connection) return;
  const auto& command = node.mapped();
  if (how.why) return refuse(command.id, how.why, command.bytes);
  socket->answer(svc->codec->ack({command.id, command.room, how.seq, how.event, how.duplicate, how.answers}),
                 command.bytes);
}

void session_state::refuse(const std::string& command, const refusal& why, std::size_t bytes) {
  svc->counts->add_at(metric::commands_refused, static_cast<std::size_t>(why.why));
  socket->answer(svc->codec->error(command, why), bytes);
}

void session_state::went_down(const caf::down_msg& down) {
  // Without its user nothing can be answered: the client comes back and sends again.
  if (joined && user == down.source) return end(close_code::overloaded);
  for (auto& [room, sub] : open_rooms) {
    if (!sub.owner || !(sub.owner == down.source)) continue;
    sub.owner = nullptr;
    reopen(sub, sub.next > 0 ? std::optional(sub.next - 1) : sub.after, 0);
  }
}

// What a client was slow to read is no wait of ours.
work_wait session_state::waits_for() const {
  if (!socket) return {};
  if (!welcomed) return {"its person", socket->id(), true};
  if (page_under_way) return {"a page to be read", pages};
  for (const auto& [room, sub] : open_rooms)
    if (sub.asked) return {"a room", sub.number, true};
  return {};
}

session_self::behavior_type session(session_self::stateful_pointer<session_state> self, shared_services svc,
                                    uuid id) {
  auto& s = self->state;
  end_on_exception(self, [&s] { return "session " + s.id.str(); });
  s.svc = std::move(svc);
  s.id = id;
  tells_of_work(self, [&s] { return s.waits_for(); });
  self->set_down_handler([&s](const caf::down_msg& down) { s.went_down(down); });
  self->delayed_send(self, std::chrono::milliseconds(limits::session_linger_ms),
                     session_tick{session_wake::linger, 0});
  return {
      [&s](socket_attached& what) { s.attach(what); },
      [&s](socket_frame& what) { s.take(what); },
      [&s](const socket_drained& what) { s.drained(what.connection); },
      [&s](const socket_gone& what) { s.lose(what.connection); },
      [&s](const command_done& how) { s.done(how); },
      [&s](room_snapshot& what) { s.start_replay(what); },
      [&s](const watching& what) { s.start_watch(what); },
      [&s](const watch_broken& what) {
        if (auto* sub = s.find(what.subscription))
          s.reopen(*sub, std::max(what.seq, sub->next > 0 ? sub->next - 1 : 0), 0);
      },
      [&s](const replay_read& what) { s.replay(what); },
      [&s](const end_session& what) { s.end(what.why); },
      [&s](const session_tick& t) {
        if (t.why == session_wake::linger) {
          if (!s.socket && t.number == s.losses) s.self->quit();
          return;
        }
        if (auto* sub = s.find(t.number)) s.find_room(*sub);
      },
  };
}

} // namespace maru::actors
