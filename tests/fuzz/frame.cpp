#include <nlohmann/json.hpp>

#include "actors/event_data.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"
#include "net/codec.hpp"
#include "net/decode.hpp"
#include "net/fields.hpp"
#include "tests/fuzz/input.hpp"

// A frame that is taken keeps to the contract and survives being written and read again; one that is refused
// has a reason; and whatever is answered is JSON.
namespace maru::fuzz {
namespace {

using json = nlohmann::json;

template <class T>
void add(json& to, const char* name, const std::optional<T>& value) {
  if (value) to[name] = *value;
}
void add(json& to, const char* name, const std::optional<uuid>& value) {
  if (value) to[name] = value->str();
}

json written(const actors::hello_in& what) {
  json out{{"type", "hello"}, {"client", what.client}};
  add(out, "session", what.session);
  return out;
}
json written(const net::ping_in& what) {
  json out{{"type", "ping"}};
  if (!what.t.empty()) out["t"] = json::parse(what.t);
  return out;
}
json written(const actors::open_in& what) {
  json out{{"type", "open"}, {"room", what.room.str()}};
  add(out, "after", what.after);
  return out;
}
json written(const actors::close_in& what) { return {{"type", "close"}, {"room", what.room.str()}}; }
json written(const actors::stop_in& what) {
  return {{"type", "stop"}, {"id", what.id}, {"room", what.room.str()}, {"answer", what.answer.str()}};
}
json written(const actors::send_in& what) {
  json out{{"type", "send"}, {"id", what.id}, {"room", what.room.str()}, {"text", what.text}};
  add(out, "agents", what.agents);
  add(out, "reply_to", what.reply_to);
  if (what.parent_is == actors::parent_rule::root) out["parent"] = nullptr;
  if (what.parent_is == actors::parent_rule::given) out["parent"] = what.parent.str();
  return out;
}
json written(const actors::frame_in& what) {
  return std::visit([](const auto& one) { return written(one); }, what);
}

void keeps_to_the_contract(const actors::send_in& what) {
  holds(uuid::parse(what.id) == what.key, "the id of a command is a UUID");
  holds(is_text(what.text), "a text is UTF-8 without NUL");
  holds(!what.text.empty() && what.text.size() <= limits::message_text_bytes, "a text is within its bounds");
  if (!what.agents) return;
  holds(what.agents->size() <= limits::agents_per_message, "no more agents than the contract says");
  for (const auto& name : *what.agents)
    holds(is_text(name) && !name.empty() && text::length(name) <= limits::username_chars, "a name is a name");
}

const actors::frame_codec& codec() {
  static const auto one = net::make_codec({}, "0", "node");
  return *one;
}

// As the room would keep it and the socket would bring it.
void comes_back(const actors::send_in& what) {
  actors::post_message posted;
  posted.id = what.id;
  posted.key = what.key;
  posted.text = what.text;
  actors::event_fact event;
  event.kind = "message";
  event.author_name = what.agents && !what.agents->empty() ? what.agents->front() : "";
  std::vector<actors::asked> asked;
  for (const auto& name : what.agents.value_or(std::vector<std::string>{}))
    asked.push_back({what.key, name});
  event.data = actors::event_data::message(posted, what.reply_to, asked);
  const auto out = json::parse(codec().event(what.room, event)->bytes);
  holds(out["data"]["text"] == what.text, "a text comes back to the byte");
  holds(actors::event_data::read(event.data).text == what.text, "and so does it from the store");
  const auto again = actors::event_data::parse_asked(actors::event_data::asked_list(asked));
  holds(again.size() == asked.size(), "who was asked is kept");
  const auto ack = json::parse(codec().ack({what.id, what.room, 1, what.key, false, asked})->bytes);
  holds(ack["id"] == what.id, "an id comes back as the client wrote it");
  const actors::delta_fact delta{what.key, 1, 1, 1, what.text};
  holds(json::parse(codec().delta(what.room, delta)->bytes)["text"] == what.text, "and so does a piece");
}

void taken(const net::client_frame& frame) {
  const auto first = std::visit([](const auto& one) { return written(one); }, frame);
  const auto again = net::decode_frame(first.dump());
  const auto* same = std::get_if<net::client_frame>(&again);
  holds(same != nullptr, "what was taken is taken again");
  holds(std::visit([](const auto& one) { return written(one); }, *same) == first, "and says the same");
  if (const auto* ping = std::get_if<net::ping_in>(&frame)) {
    holds(ping->t.empty() || net::acceptable_inside(json::parse(ping->t)), "a ping's t is text without NUL");
    const auto pong = json::parse(net::pong_frame(ping->t)->bytes);
    holds(ping->t.empty() ? !pong.contains("t") : pong["t"] == json::parse(ping->t),
          "a pong has the ping's t");
  }
  const auto* command = std::get_if<actors::frame_in>(&frame);
  if (command == nullptr) return;
  const auto* message = std::get_if<actors::send_in>(command);
  if (message == nullptr) return;
  keeps_to_the_contract(*message);
  comes_back(*message);
}

void refused(const net::refused_frame& what, bool sound, bool ping) {
  holds(static_cast<bool>(what.why), "a refusal has a reason");
  holds(what.id.size() <= limits::echoed_id_bytes, "no long id is echoed");
  holds(is_json(codec().error(what.id, what.why)->bytes), "an error is JSON");
  if (sound) holds(what.why.why != code::invalid_json, "a JSON object that is not deep is none");
  if (ping) holds(false, "a ping of text without NUL is taken");
}

} // namespace

void one_input(std::string_view bytes) {
  const auto plain = json::parse(bytes, nullptr, false);
  const bool whole = bytes.find('\0') == bytes.npos;
  const bool sound = whole && plain.is_object() && !text::nested_deeper(bytes, limits::json_depth);
  const auto got = net::decode_frame(bytes);
  if (const auto* frame = std::get_if<net::client_frame>(&got)) {
    holds(whole, "what holds a NUL is not taken");
    return taken(*frame);
  }
  const bool ping = sound && plain.value("type", json{}) == "ping" && net::acceptable_inside(plain);
  refused(std::get<net::refused_frame>(got), sound, ping);
}

} // namespace maru::fuzz
