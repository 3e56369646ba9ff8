#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"
#include "net/decode.hpp"
#include "net/fields.hpp"
#include "tests/fuzz/input.hpp"

// The body of a request, whose first byte chooses which. What is taken is text within its bounds, and is
// taken again when it is written down; what is refused has a reason that can be told.
namespace maru::fuzz {
namespace {

using json = nlohmann::json;
namespace api = actors::api;
using optional_text = std::optional<std::string>;

const uuid some_id = *uuid::parse("0190f000-0000-7000-8000-000000000001");

void add(json& to, const char* name, const optional_text& value) {
  if (value) to[name] = *value;
}

json written(const api::signup& w) {
  return {{"username", w.username}, {"password", w.password}, {"display_name", w.display_name}};
}
json written(const api::login& w) { return {{"username", w.username}, {"password", w.password}}; }
json written(const api::refresh& w) { return {{"refresh_token", w.refresh_token}, {"nonce", w.nonce}}; }
json written(const api::logout& w) {
  return w.refresh_token.empty() ? json::object() : json{{"refresh_token", w.refresh_token}};
}
json written(const api::change_me& w) {
  auto out = json::object();
  add(out, "display_name", w.display_name);
  if (w.settings) out["settings"] = json::parse(*w.settings);
  add(out, "password", w.password);
  add(out, "new_password", w.new_password);
  return out;
}
json written(const api::add_user& w) {
  return {
      {"username", w.username}, {"password", w.password}, {"display_name", w.display_name}, {"role", w.role}};
}
json written(const api::change_user& w) {
  holds(w.user == some_id, "the user is that of the address");
  auto out = json::object();
  add(out, "role", w.role);
  add(out, "display_name", w.display_name);
  add(out, "new_password", w.new_password);
  return out;
}
json written(const api::create_room& w) {
  json out{{"title", w.title}};
  if (w.agents) out["agents"] = *w.agents;
  return out;
}
json written(const api::post_message& w) {
  holds(w.room == some_id, "the room is that of the address");
  json out{{"id", w.id}, {"text", w.text}};
  if (w.agents) out["agents"] = *w.agents;
  if (w.reply_to) out["reply_to"] = w.reply_to->str();
  if (w.parent_is == actors::parent_rule::root) out["parent"] = nullptr;
  if (w.parent_is == actors::parent_rule::given) out["parent"] = w.parent.str();
  return out;
}
json written(const api::schedule_message& w) {
  holds(w.room == some_id, "the room is that of the address");
  json out{{"id", w.id}, {"text", w.text}};
  if (w.agents) out["agents"] = *w.agents;
  if (w.at) out["at"] = rfc3339(*w.at);
  if (!w.at) out["cron"] = w.cron;
  if (!w.at) out["zone"] = w.zone;
  return out;
}
json written(const api::stop_answer& w) {
  holds(w.room == some_id && w.answer == some_id, "room and answer are those of the address");
  return {{"id", w.id}};
}

struct bound {
  const char* name;
  std::size_t bytes, chars;
};
constexpr std::size_t any = ~std::size_t{0};
constexpr bound bounds[] = {{"username", any, limits::username_chars},
                            {"display_name", any, limits::display_name_chars},
                            {"password", limits::password_bytes_most, any},
                            {"new_password", limits::password_bytes_most, any},
                            {"refresh_token", limits::token_bytes, any},
                            {"nonce", limits::token_bytes, any},
                            {"role", any, limits::role_chars},
                            {"title", any, limits::title_chars},
                            {"cron", limits::cron_chars, any},
                            {"zone", limits::zone_chars, any},
                            {"text", limits::message_text_bytes, any}};

void keeps_to_the_bounds(const json& what) {
  holds(net::acceptable_inside(what), "all is text without NUL");
  for (const auto& one : bounds) {
    const auto at = what.find(one.name);
    if (at == what.end()) continue;
    const auto& value = at->get_ref<const std::string&>();
    holds(value.size() <= one.bytes && text::length(value) <= one.chars, "each field keeps to its bound");
  }
  if (what.contains("settings"))
    holds(what["settings"].dump().size() <= limits::client_settings_bytes, "settings are not big");
  if (what.contains("agents"))
    holds(what["agents"].size() <= limits::agents_per_message, "not too many agents are asked");
}

template <class Decode>
void check(std::string_view body, Decode decode) {
  const auto got = decode(body);
  if (!got) {
    holds(static_cast<bool>(got.error()) && is_text(got.error().detail), "a refusal says why, in text");
    return;
  }
  holds(body.find('\0') == body.npos, "what holds a NUL is not taken");
  const auto first = written(*got);
  keeps_to_the_bounds(first);
  const auto again = decode(first.dump());
  holds(again && written(*again) == first, "what was taken is taken again, and says the same");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const auto which = in.byte() % 13;
  const std::string body{in.rest()};
  const auto plain = [&](auto decode) { check(body, [&](std::string_view b) { return decode(b); }); };
  const auto with = [&](auto decode, auto... more) {
    check(body, [&](std::string_view b) { return decode(more..., b); });
  };
  switch (which) {
  case 0:
    return plain(net::decode_signup);
  case 1:
    return plain(net::decode_login);
  case 2:
    return check(body, [](std::string_view b) { return net::decode_refresh(b, ""); });
  case 3:
    return check(body, [](std::string_view b) { return net::decode_refresh(b, "cookie"); });
  case 4:
    return check(body, [](std::string_view b) { return net::decode_logout(b, ""); });
  case 5:
    return plain(net::decode_change_me);
  case 6:
    return plain(net::decode_add_user);
  case 7:
    return with(net::decode_change_user, some_id);
  case 8:
    return plain(net::decode_create_room);
  case 9:
    return with(net::decode_post_message, some_id);
  case 10:
    return with(net::decode_stop_answer, some_id, some_id);
  case 11:
    return with(net::decode_schedule, some_id);
  default:
    return check(body, [](std::string_view b) { return net::decode_logout(b, "cookie"); });
  }
}

} // namespace maru::fuzz
