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

// What it is about, not what it says: no body.
void entry_fields(object& to, const storage::mailbox_entry& what) {
  to.id("id", what.id).text("mailbox", what.mailbox).number("seq", what.seq).text("kind", what.kind);
  to.text("enqueued_at", rfc3339(what.enqueued_at)).text("visible_at", rfc3339(what.visible_at));
  if (what.expires_at) to.text("expires_at", rfc3339(*what.expires_at));
  to.number("failures", what.failures).number("losses", what.losses);
}

void dead_fields(object& to, const storage::dead_letter& what) {
  entry_fields(to, what.entry);
  to.text("reason", what.reason).text("buried_at", rfc3339(what.at));
}

} // namespace

std::string to_json(const actors::api::mailboxes_view& what) {
  const auto append = [](std::string& out, const storage::mailbox_summary& one) {
    object{out}
        .text("mailbox", one.mailbox)
        .number("depth", one.depth)
        .text("oldest_at", rfc3339(one.oldest_at))
        .text("due_at", rfc3339(one.due_at))
        .end();
  };
  return page("mailboxes", what.mailboxes, append, what.next);
}

std::string to_json(const actors::api::entries_view& what) {
  const auto append = [](std::string& out, const storage::mailbox_entry& one) {
    object to{out};
    entry_fields(to, one);
    to.end();
  };
  return page("entries", what.entries, append, what.next);
}

std::string to_json(const actors::api::dead_list_view& what) {
  const auto append = [](std::string& out, const storage::dead_letter& one) {
    object to{out};
    dead_fields(to, one);
    to.end();
  };
  return page("dead_letters", what.letters, append, what.next);
}

std::string to_json(const actors::api::dead_view& what) {
  std::string out;
  object to{out};
  dead_fields(to, what.letter);
  if (what.answer) {
    to.id("room", what.answer->room).id("question", what.answer->question);
    to.text("agent", what.answer->agent).id("asker", what.answer->asker);
  }
  to.end();
  return out;
}

std::string to_json(const actors::api::treated& what) {
  std::string out;
  object to{out};
  to.number("done", what.done).name("refused");
  append_array(out, what.refused, [](std::string& at, const actors::api::not_treated& one) {
    const auto& why = one.why;
    object{at}
        .id("id", one.id)
        .text("code", word(why.why))
        .text("detail", why.detail.empty() ? info(why.why).title : std::string_view{why.detail})
        .end();
  });
  append_next(to, what.next);
  to.end();
  return out;
}

void room_fields(object& to, std::string& out, const actors::api::room_view& what) {
  to.id("id", what.room.id).text("title", what.room.title).name("agents");
  append_array(out, what.room.agents, append_string);
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

std::string to_json(const actors::api::answer_view& what) {
  const auto& row = what.how.row;
  std::string out;
  object to{out};
  to.id("answer", row.id).id("question", row.question).text("agent", row.agent).id("asker", row.asker);
  to.number("attempt", row.attempt).text("end", what.how.kind).name("attempts");
  append_array(out, what.attempts, [](std::string& at, const actors::attempt_cost& one) {
    object{at}
        .number("attempt", one.attempt)
        .text("provider", one.provider)
        .text("how", one.how)
        .text("at", rfc3339(one.at))
        .number("ms", static_cast<std::uint64_t>(one.ms))
        .number("prompt_tokens", one.prompt_tokens)
        .number("completion_tokens", one.completion_tokens)
        .flag("estimated", one.estimated)
        .end();
  });
  to.end();
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

std::string scheduled_json(const actors::api::posted& what) {
  std::string out;
  object{out}.id("schedule", what.event).flag("duplicate", what.duplicate).end();
  return out;
}

std::string to_json(const actors::api::scheduled_view& what) {
  const auto append = [](std::string& out, const actors::api::scheduled_item& one) {
    object to{out};
    to.id("id", one.id).name("author");
    object{out}.text("kind", "user").id("id", one.author).text("name", one.name).end();
    to.text("text", one.text);
    if (one.cut) to.flag("cut", true);
    if (one.agents) {
      to.name("agents");
      append_array(out, *one.agents, append_string);
    }
    to.text("at", rfc3339(one.at));
    if (!one.cron.empty()) to.text("cron", one.cron).text("zone", one.zone);
    to.text("created_at", rfc3339(one.created_at)).end();
  };
  std::string out;
  object to{out};
  to.name("scheduled");
  append_array(out, what.items, append);
  to.end();
  return out;
}

} // namespace maru::net
