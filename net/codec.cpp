#include "net/codec.hpp"

#include <utility>

#include "config/limits.hpp"
#include "net/api_json.hpp"
#include "net/json_out.hpp"

namespace maru::net {
namespace {

using actors::frame;
using actors::frame_ptr;

frame_ptr made(std::string bytes) {
  auto out = std::make_shared<frame>();
  out->bytes = std::move(bytes);
  return out;
}

std::string room_for(std::size_t text) {
  constexpr std::size_t names_and_ids = 256;
  std::string out;
  out.reserve(names_and_ids + text);
  return out;
}

// Every limit a client can meet, under the names the source has for them.
std::string limits_of(const config::settings& settings) {
  std::string out;
  object{out}
      .number("message_text_bytes", limits::message_text_bytes)
      .number("answer_text_bytes", limits::answer_text_bytes)
      .number("frame_in_bytes", limits::frame_in_bytes)
      .number("http_body_bytes", limits::http_body_bytes)
      .number("json_depth", limits::json_depth)
      .number("commands_under_way", limits::commands_under_way)
      .number("command_bytes_under_way", limits::command_bytes_under_way)
      .number("outbox_bytes", limits::outbox_bytes)
      .number("agents_per_message", limits::agents_per_message)
      .number("agent_questions_waiting", limits::agent_questions_waiting)
      .number("room_answers_unfinished", limits::room_answers_unfinished)
      .number("session_rooms_open", limits::session_rooms_open)
      .number("open_default_events", limits::open_default_events)
      .number("events_page", limits::events_page)
      .number("events_page_bytes", limits::events_page_bytes)
      .number("rooms_page", limits::rooms_page)
      .number("title_chars", limits::title_chars)
      .number("display_name_chars", limits::display_name_chars)
      .number("password_bytes_most", limits::password_bytes_most)
      .number("password_chars_least", limits::password_chars_least)
      .number("client_settings_bytes", limits::client_settings_bytes)
      .number("client_name_chars", limits::client_name_chars)
      .number("hello_timeout_ms", limits::hello_timeout_ms)
      .number("write_timeout_ms", limits::write_timeout_ms)
      .number("session_linger_ms", limits::session_linger_ms)
      .number("connections_per_user", settings.limits.connections_per_user)
      .number("messages_per_minute_per_user", settings.limits.messages_per_minute_per_user)
      .number("questions_waiting_per_user", settings.limits.questions_waiting_per_user)
      .number("question_expires_seconds", settings.limits.question_expires_seconds)
      .end();
  return out;
}

class json_codec final : public actors::frame_codec {
public:
  json_codec(const config::settings& settings, std::string_view version, std::string_view node) {
    object{server_}.text("version", version).text("node", node).end();
    limits_ = limits_of(settings);
  }

  [[nodiscard]] frame_ptr welcome(const actors::welcome_frame& what) const override {
    auto out = room_for(server_.size() + limits_.size() + what.display_name.size());
    object{out}
        .text("type", "welcome")
        .id("session", what.session)
        .id("user", what.user)
        .text("username", what.username)
        .text("display_name", what.display_name)
        .raw("server", server_)
        .number("heartbeat_ms", limits::heartbeat_ms)
        .raw("limits", limits_)
        .end();
    return made(std::move(out));
  }

  [[nodiscard]] frame_ptr opened(const actors::opened_frame& what) const override {
    std::size_t text = 0;
    for (const auto& answer : what.answers)
      text += answer.text.size() + 256;
    auto out = room_for(text);
    object to{out};
    to.text("type", "opened").id("room", what.room).number("head", what.head);
    to.number("from", what.from).number("floor", what.floor).name("answers");
    append_array(out, what.answers, [](std::string& at, const actors::answer_fact& one) {
      object fields{at};
      answer_fields(fields, one);
      fields.end();
    });
    to.end();
    return made(std::move(out));
  }

  [[nodiscard]] frame_ptr ack(const actors::ack_frame& what) const override {
    auto out = room_for(what.answers.size() * 128);
    object to{out};
    to.text("type", "ack").text("id", what.id).id("room", what.room).number("seq", what.seq);
    to.id("event", what.event).flag("duplicate", what.duplicate).name("answers");
    append_asked(out, what.answers);
    to.end();
    return made(std::move(out));
  }

  [[nodiscard]] frame_ptr error(const std::string& id, const refusal& why) const override {
    std::string out;
    object to{out};
    to.text("type", "error");
    if (!id.empty()) to.text("id", id);
    to.text("code", maru::word(why.why));
    to.text("message", why.detail.empty() ? info(why.why).title : std::string_view{why.detail});
    if (why.retry_after_ms > 0) to.number("retry_after_ms", why.retry_after_ms);
    to.end();
    auto made = std::make_shared<frame>();
    made->bytes = std::move(out);
    made->refused = why.why;
    return made;
  }

  [[nodiscard]] frame_ptr event(const uuid& room, const actors::event_fact& what) const override {
    auto out = room_for(what.data.size() + what.author_name.size() + 64);
    object to{out};
    to.text("type", "event");
    event_fields(to, out, room, what);
    to.end();
    auto made = std::make_shared<frame>();
    made->bytes = std::move(out);
    made->seq = what.seq;
    return made;
  }

  [[nodiscard]] frame_ptr answer(const uuid& room, const actors::answer_fact& what) const override {
    auto out = room_for(what.text.size());
    object to{out};
    to.text("type", "answer").id("room", room);
    answer_fields(to, what);
    to.end();
    return made(std::move(out));
  }

  [[nodiscard]] frame_ptr delta(const uuid& room, const actors::delta_fact& what) const override {
    auto made = std::make_shared<frame>();
    made->bytes = room_for(what.text.size());
    object to{made->bytes};
    to.text("type", "delta").id("room", room).id("answer", what.answer).number("attempt", what.attempt);
    to.number("n", what.n);
    if (what.count != 1) to.number("count", what.count);
    to.text("text", what.text).end();
    made->room = room;
    made->delta = what;
    return made;
  }

  [[nodiscard]] frame_ptr room(const actors::api::room_view& what) const override {
    auto out = room_for(what.room.title.size() + (what.last ? what.last->data.size() + 512 : 256));
    object to{out};
    to.text("type", "room").id("room", what.room.id);
    room_fields(to, out, what);
    to.end();
    return made(std::move(out));
  }

private:
  static void answer_fields(object& to, const actors::answer_fact& what) {
    to.id("answer", what.answer).id("question", what.question).text("agent", what.agent);
    to.number("attempt", what.attempt).text("state", net::word(what.state));
    if (what.position > 0) to.number("position", what.position);
    to.number("n", what.n).text("text", what.text);
  }

  std::string server_;
  std::string limits_;
};

} // namespace

std::unique_ptr<actors::frame_codec> make_codec(const config::settings& settings, std::string_view version,
                                                std::string_view node) {
  return std::make_unique<json_codec>(settings, version, node);
}

frame_ptr pong_frame(std::string_view t) {
  std::string out;
  object to{out};
  to.text("type", "pong");
  if (!t.empty()) to.raw("t", t);
  to.end();
  return made(std::move(out));
}

} // namespace maru::net
