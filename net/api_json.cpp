#include "net/api_json.hpp"

#include "base/clock.hpp"
#include "net/json_out.hpp"

namespace maru::net {
namespace {

void append_user(std::string& out, const actors::api::person_view& user) {
  object{out}
      .id("id", user.id)
      .text("username", user.username)
      .text("display_name", user.display_name)
      .text("role", user.role)
      .text("created_at", rfc3339(user.created_at))
      .raw("settings", user.settings.empty() ? "{}" : user.settings)
      .end();
}

void append_summary(std::string& out, const storage::account_summary& user) {
  object{out}
      .id("id", user.id)
      .text("username", user.username)
      .text("display_name", user.display_name)
      .text("role", user.role)
      .text("created_at", rfc3339(user.created_at))
      .end();
}

void append_next(object& to, const std::string& cursor) {
  if (cursor.empty())
    to.raw("next", "null");
  else
    to.text("next", cursor);
}

template <class Items, class Append>
std::string page(std::string_view name, const Items& items, Append append, const std::string& next) {
  std::string out;
  object to{out};
  to.name(name);
  append_array(out, items, append);
  append_next(to, next);
  to.end();
  return out;
}

void append_room(std::string& out, const actors::api::room_view& what) {
  object to{out};
  room_fields(to, out, what);
  to.end();
}

} // namespace

void room_fields(object& to, std::string& out, const actors::api::room_view& what) {
  to.id("id", what.room.id).text("title", what.room.title).name("agents");
  append_array(out, what.room.agents,
               [](std::string& at, const std::string& name) { append_string(at, name); });
  to.text("created_at", rfc3339(what.room.created_at)).text("active_at", rfc3339(what.room.active_at));
  to.number("head", what.room.head).number("floor", what.room.floor);
  if (what.last) {
    to.name("last");
    object last{out};
    event_fields(last, out, what.room.id, *what.last);
    last.end();
  }
  to.number("read", what.read).number("unread", what.unread).number("members", what.members);
}

std::string to_json(const actors::api::signed_in& what) {
  std::string out;
  object to{out};
  to.name("user");
  append_user(out, what.user);
  to.text("access_token", what.access_token).number("expires_in", what.expires_in);
  to.text("refresh_token", what.refresh_token).end();
  return out;
}

std::string to_json(const actors::api::profile& what) {
  std::string out;
  append_user(out, what.user);
  return out;
}

std::string to_json(const actors::api::user_view& what) {
  std::string out;
  append_summary(out, what.user);
  return out;
}

std::string to_json(const actors::api::users_view& what) {
  return page("users", what.users, append_summary, what.next);
}

std::string to_json(const actors::api::agents_view& what) {
  std::string out;
  object to{out};
  to.name("agents");
  append_array(out, what.agents, [](std::string& at, const actors::api::agent_view& one) {
    object{at}.text("name", one.name).text("model", one.model).end();
  });
  to.end();
  return out;
}

std::string to_json(const actors::api::room_view& what) {
  std::string out;
  append_room(out, what);
  return out;
}

std::string to_json(const actors::api::rooms_view& what) {
  return page("rooms", what.rooms, append_room, what.next);
}

std::string to_json(const uuid& room, const actors::api::events_view& what) {
  std::size_t size = 64;
  for (const auto& event : what.events)
    size += event.data.size() + 320;
  std::string out;
  out.reserve(size);
  object to{out};
  to.name("events");
  append_array(out, what.events, [&](std::string& at, const actors::event_fact& event) {
    object fields{at};
    event_fields(fields, at, room, event);
    fields.end();
  });
  to.number("head", what.head).number("floor", what.floor).end();
  return out;
}

std::string to_json(const actors::api::posted& what) {
  std::string out;
  object to{out};
  to.id("event", what.event).number("seq", what.seq).flag("duplicate", what.duplicate).name("answers");
  append_asked(out, what.answers);
  to.end();
  return out;
}

} // namespace maru::net
