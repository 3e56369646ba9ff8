#include "net/decode.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"
#include "net/fields.hpp"

namespace maru::net {
namespace {

namespace api = actors::api;
using json = nlohmann::json;

constexpr span_of a_token{1, limits::token_bytes};
constexpr span_of a_password{1, limits::password_bytes_most};
constexpr span_of a_role{1, limits::role_chars};

template <class T>
result<T> checked(const fields& from, T value) {
  if (from.why()) return from.why();
  return value;
}

result<json> parse_body(std::string_view body, bool may_be_empty) {
  if (body.empty() && may_be_empty) return json::object();
  return parse_object(body);
}

template <class Command>
void take_command(fields& from, Command& to) {
  to.key = from.id("id");
  if (!from.why()) to.id = from.bytes("id", {1, limits::echoed_id_bytes});
}

// What a message says and whom it asks.
template <class Message>
void take_words(fields& from, Message& to) {
  constexpr span_of any{0, std::numeric_limits<std::size_t>::max()};
  to.text = from.maybe_bytes("text", any).value_or("");
  const auto most = std::to_string(limits::message_text_bytes);
  if (to.text.empty()) from.refuse("text", "a string of 1 to " + most + " bytes");
  if (to.text.size() > limits::message_text_bytes)
    from.refuse("text", "at most " + most + " bytes", code::too_large);
  to.agents = from.maybe_names("agents", limits::agents_per_message, limits::username_chars);
}

void take_message(fields& from, actors::send_in& to) {
  take_command(from, to);
  if (from.why()) return;
  take_words(from, to);
  if (from.is_null("parent")) {
    to.parent_is = actors::parent_rule::root;
  } else if (const auto parent = from.maybe_id("parent")) {
    to.parent_is = actors::parent_rule::given;
    to.parent = *parent;
  }
  to.reply_to = from.maybe_id("reply_to");
}

// --- frames --------------------------------------------------------------------------------------------

client_frame take_hello(fields& from, const json&) {
  actors::hello_in out;
  out.session = from.maybe_id("session");
  out.client = from.maybe_chars("client", {0, limits::client_name_chars}).value_or("");
  return out;
}

client_frame take_open(fields& from, const json&) {
  actors::open_in out;
  out.room = from.id("room");
  out.after = from.maybe_number("after");
  return actors::frame_in{out};
}

client_frame take_close(fields& from, const json&) {
  return actors::frame_in{actors::close_in{from.id("room")}};
}

client_frame take_send(fields& from, const json&) {
  actors::send_in out;
  take_message(from, out);
  out.room = from.id("room");
  return actors::frame_in{std::move(out)};
}

template <class Command>
client_frame take_of_answer(fields& from, const json&) {
  Command out;
  take_command(from, out);
  out.room = from.id("room");
  out.answer = from.id("answer");
  return actors::frame_in{std::move(out)};
}

client_frame take_ping(fields& from, const json& whole) {
  const auto t = whole.find("t");
  ping_in out{t == whole.end() ? "" : t->dump()};
  if (t != whole.end() && !acceptable_inside(*t))
    from.refuse("t", "anything without NUL and lone surrogates");
  return out;
}

struct frame_type {
  std::string_view name;
  client_frame (*take)(fields&, const json&);
};
constexpr frame_type frame_types[] = {{"send", take_send},
                                      {"ping", take_ping},
                                      {"open", take_open},
                                      {"close", take_close},
                                      {"stop", take_of_answer<actors::stop_in>},
                                      {"retry", take_of_answer<actors::retry_in>},
                                      {"hello", take_hello}};

std::string echoed_id(const json& frame) {
  const auto at = frame.find("id");
  if (at == frame.end() || !at->is_string()) return {};
  return std::string{text::prefix(at->get_ref<const std::string&>(), limits::echoed_id_bytes)};
}

// --- queries -------------------------------------------------------------------------------------------

std::optional<std::uint64_t> number_in(std::string_view text, std::string_view name, refusal& why) {
  std::uint64_t out = 0;
  const auto* end = text.data() + text.size();
  const auto [stopped, failed] = std::from_chars(text.data(), end, out);
  if (failed == std::errc{} && stopped == end && !text.empty()) return out;
  if (!why) why = {code::invalid_field, std::string{name} + " must be a whole number, 0 or more", 0};
  return std::nullopt;
}

std::optional<std::uint64_t> query_number(const target& from, std::string_view name, refusal& why) {
  const auto* text = from.find(name);
  if (text == nullptr) return std::nullopt;
  return number_in(*text, name, why);
}

std::size_t query_limit(const target& from, std::size_t usual, std::size_t most, refusal& why) {
  const auto out = query_number(from, "limit", why).value_or(usual);
  if (out >= 1 && out <= most) return out;
  if (!why) why = {code::invalid_field, "limit must be 1 to " + std::to_string(most), 0};
  return usual;
}

// A misspelt one must not look like none at all.
refusal no_such_reason(const storage::dead_filter& which) {
  if (!which.reason || std::find(burials.begin(), burials.end(), *which.reason) != burials.end()) return {};
  std::string all;
  for (const auto reason : burials)
    all.append(all.empty() ? "" : ", ").append(reason);
  return {code::invalid_field, "reason must be one of " + all, 0};
}

template <class Command>
result<Command> of_answer(const uuid& room, const uuid& answer, std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  Command out;
  out.room = room;
  out.answer = answer;
  take_command(from, out);
  return checked(from, std::move(out));
}

std::optional<std::string> query_cursor(const target& from, refusal& why) {
  const auto* cursor = from.find("cursor");
  if (cursor == nullptr) return std::nullopt;
  if (!why && cursor->size() > limits::cursor_chars)
    why = {code::invalid_field, "cursor must be what a page before gave", 0};
  return *cursor;
}

} // namespace

std::variant<client_frame, refused_frame> decode_frame(std::string_view text) {
  const auto whole = parse_object(text);
  if (!whole) return refused_frame{"", whole.error()};
  const auto type = whole->find("type");
  if (type == whole->end() || !type->is_string())
    return refused_frame{echoed_id(*whole), {code::invalid_field, "type must be a string", 0}};
  for (const auto& known : frame_types) {
    if (known.name != type->get_ref<const std::string&>()) continue;
    fields from{*whole};
    auto out = known.take(from, *whole);
    if (from.why()) return refused_frame{echoed_id(*whole), from.why()};
    return out;
  }
  return refused_frame{echoed_id(*whole), {code::unknown_type, "there is no frame of this type", 0}};
}

result<api::signup> decode_signup(std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::signup out;
  out.username = from.chars("username", {1, limits::username_chars});
  out.password = from.bytes("password", a_password);
  out.display_name = from.maybe_chars("display_name", {0, limits::display_name_chars}).value_or("");
  return checked(from, std::move(out));
}

result<api::login> decode_login(std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::login out;
  out.username = from.chars("username", {1, limits::username_chars});
  out.password = from.bytes("password", a_password);
  return checked(from, std::move(out));
}

result<api::refresh> decode_refresh(std::string_view body, std::string_view cookie) {
  const auto whole = parse_body(body, !cookie.empty());
  if (!whole) return whole.error();
  fields from{*whole};
  api::refresh out;
  if (cookie.empty() || from.has("refresh_token"))
    out.refresh_token = from.bytes("refresh_token", a_token);
  else
    out.refresh_token = cookie;
  out.nonce = from.maybe_bytes("nonce", {0, limits::token_bytes}).value_or("");
  return checked(from, std::move(out));
}

result<api::logout> decode_logout(std::string_view body, std::string_view cookie) {
  const auto whole = parse_body(body, true);
  if (!whole) return whole.error();
  fields from{*whole};
  return checked(from, api::logout{from.maybe_bytes("refresh_token", a_token).value_or(std::string{cookie})});
}

result<api::change_me> decode_change_me(std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::change_me out;
  out.display_name = from.maybe_chars("display_name", {0, limits::display_name_chars});
  out.settings = from.maybe_object("settings", limits::client_settings_bytes);
  out.password = from.maybe_bytes("password", a_password);
  out.new_password = from.maybe_bytes("new_password", a_password);
  return checked(from, std::move(out));
}

result<api::add_user> decode_add_user(std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::add_user out;
  out.username = from.chars("username", {1, limits::username_chars});
  out.password = from.bytes("password", a_password);
  out.display_name = from.maybe_chars("display_name", {0, limits::display_name_chars}).value_or("");
  out.role = from.maybe_chars("role", a_role).value_or("user");
  return checked(from, std::move(out));
}

result<api::change_user> decode_change_user(const uuid& user, std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::change_user out;
  out.user = user;
  out.role = from.maybe_chars("role", a_role);
  out.display_name = from.maybe_chars("display_name", {1, limits::display_name_chars});
  out.new_password = from.maybe_bytes("new_password", a_password);
  return checked(from, std::move(out));
}

result<api::create_room> decode_create_room(std::string_view body) {
  const auto whole = parse_body(body, true);
  if (!whole) return whole.error();
  fields from{*whole};
  api::create_room out;
  out.title = from.maybe_chars("title", {0, limits::title_chars}).value_or("");
  out.agents = from.maybe_names("agents", limits::agents_per_message, limits::username_chars);
  return checked(from, std::move(out));
}

result<api::post_message> decode_post_message(const uuid& room, std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::post_message out;
  out.room = room;
  take_message(from, out);
  return checked(from, std::move(out));
}

result<api::stop_answer> decode_stop_answer(const uuid& room, const uuid& answer, std::string_view body) {
  return of_answer<api::stop_answer>(room, answer, body);
}

result<api::retry_answer> decode_retry_answer(const uuid& room, const uuid& answer, std::string_view body) {
  return of_answer<api::retry_answer>(room, answer, body);
}

result<api::schedule_message> decode_schedule(const uuid& room, std::string_view body) {
  const auto whole = parse_body(body, false);
  if (!whole) return whole.error();
  fields from{*whole};
  api::schedule_message out;
  out.room = room;
  take_command(from, out);
  take_words(from, out);
  if (out.text.size() > limits::scheduled_text_bytes)
    from.refuse("text",
                "at most " + std::to_string(limits::scheduled_text_bytes) + " bytes where it is scheduled");
  if (const auto at = from.maybe_bytes("at", {1, limits::time_chars})) {
    out.at = parse_rfc3339(*at);
    if (!out.at || *out.at <= 0)
      from.refuse("at", "a time like \"2026-01-31T09:00:00Z\", in UTC or with its offset");
    if (from.has("cron") || from.has("zone")) from.refuse("at", "absent where cron and zone are given");
  } else if (!from.has("cron") && !from.has("zone")) {
    from.refuse("at", "a time like \"2026-01-31T09:00:00Z\"; or cron and zone, to send it again and again");
  } else {
    out.cron = from.bytes("cron", {1, limits::cron_chars});
    out.zone = from.bytes("zone", {1, limits::zone_chars});
  }
  return checked(from, std::move(out));
}

result<api::list_mailboxes> decode_list_mailboxes(const target& from) {
  refusal why;
  api::list_mailboxes out;
  out.limit = query_limit(from, out.limit, limits::mailboxes_page, why);
  out.cursor = query_cursor(from, why);
  if (why) return why;
  return out;
}

result<api::list_entries> decode_list_entries(const target& from) {
  refusal why;
  api::list_entries out;
  out.limit = query_limit(from, out.limit, limits::mailboxes_page, why);
  out.cursor = query_cursor(from, why);
  const auto* mailbox = from.find("mailbox");
  if (!why && mailbox == nullptr) why = {code::invalid_field, "mailbox must be named", 0};
  if (why) return why;
  out.mailbox = *mailbox;
  return out;
}

result<api::list_dead> decode_list_dead(const target& from) {
  refusal why;
  api::list_dead out;
  out.limit = query_limit(from, out.limit, limits::mailboxes_page, why);
  out.cursor = query_cursor(from, why);
  if (const auto* mailbox = from.find("mailbox")) out.which.mailbox = *mailbox;
  if (const auto* reason = from.find("reason")) out.which.reason = *reason;
  if (!why) why = no_such_reason(out.which);
  if (why) return why;
  return out;
}

result<api::treat_all_dead> decode_treat_all_dead(api::dead_act how, std::string_view body) {
  const auto whole = parse_body(body, true);
  if (!whole) return whole.error();
  fields from{*whole};
  api::treat_all_dead out;
  out.how = how;
  out.which.mailbox = from.maybe_bytes("mailbox", {1, limits::mailbox_name_chars});
  out.which.reason = from.maybe_bytes("reason", {1, limits::mailbox_name_chars});
  out.cursor = from.maybe_bytes("cursor", {1, limits::cursor_chars});
  if (const auto why = no_such_reason(out.which); why && !from.why()) return why;
  return checked(from, std::move(out));
}

result<api::list_users> decode_list_users(const target& from) {
  refusal why;
  api::list_users out;
  out.limit = query_limit(from, out.limit, limits::users_page, why);
  out.cursor = query_cursor(from, why);
  if (const auto* username = from.find("username")) out.username = *username;
  if (why) return why;
  return out;
}

result<api::list_rooms> decode_list_rooms(const target& from) {
  refusal why;
  api::list_rooms out;
  out.limit = query_limit(from, out.limit, limits::rooms_page, why);
  out.cursor = query_cursor(from, why);
  if (why) return why;
  return out;
}

result<api::get_events> decode_get_events(const uuid& room, const target& from) {
  refusal why;
  api::get_events out;
  out.room = room;
  out.after = query_number(from, "after", why);
  out.before = query_number(from, "before", why);
  out.limit = query_limit(from, out.limit, limits::events_page, why);
  if (!why && out.after && out.before) why = {code::invalid_field, "after and before exclude each other", 0};
  if (why) return why;
  return out;
}

result<actors::open_in> decode_get_stream(const uuid& room, const target& from,
                                          const std::string& last_event_id) {
  refusal why;
  actors::open_in out;
  out.room = room;
  out.after = query_number(from, "after", why);
  if (!last_event_id.empty()) out.after = number_in(last_event_id, "Last-Event-ID", why);
  if (why) return why;
  return out;
}

} // namespace maru::net
