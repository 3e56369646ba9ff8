#include "tests/support/chat_client.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <poll.h>

namespace maru::tests {

api_reply api(const std::string& address, const std::string& token, std::string_view method,
              const std::string& path, const json& body) {
  headers with;
  if (!token.empty()) with.push_back(bearer(token));
  if (!body.is_null()) with.emplace_back("Content-Type", "application/json");
  api_reply out;
  out.raw = http_request(address, method, path, with, body.is_null() ? "" : body.dump());
  out.status = out.raw.status;
  out.body = json::parse(out.raw.body, nullptr, false);
  return out;
}

account sign_up(const std::string& address, const std::string& name) {
  const auto reply =
      api(address, "", "POST", "/api/v1/signup", {{"username", name}, {"password", "a password of " + name}});
  if (reply.status != 201) throw std::runtime_error("signup: " + reply.raw.body);
  return {name, reply.body["user"]["id"], reply.body["access_token"], reply.body["refresh_token"]};
}

std::string make_room(const std::string& address, const account& who,
                      const std::vector<std::string>& agents) {
  const auto reply = api(address, who.access_token, "POST", "/api/v1/rooms",
                         {{"title", "a room of " + who.name}, {"agents", agents}});
  if (reply.status != 201) throw std::runtime_error("room: " + reply.raw.body);
  return reply.body["id"];
}

std::vector<json> all_events(const std::string& address, const account& who, const std::string& room,
                             std::size_t page) {
  std::vector<json> out;
  std::uint64_t after = 0;
  while (true) {
    const auto reply = api(address, who.access_token, "GET",
                           "/api/v1/rooms/" + room + "/events?after=" + std::to_string(after) +
                               "&limit=" + std::to_string(page));
    if (reply.status != 200) throw std::runtime_error("events: " + reply.raw.body);
    for (const auto& event : reply.body["events"])
      out.push_back(event);
    if (reply.body["events"].empty() || out.back()["seq"] >= reply.body["head"]) return out;
    after = out.back()["seq"];
  }
}

std::string random_id(std::mt19937_64& random) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx";
  for (auto& c : out)
    if (c == 'x') c = digits[random() % digits.size()];
  return out;
}

chat_client::chat_client(std::string address, account who, std::uint64_t seed)
    : address_(std::move(address)), who_(std::move(who)), random_(seed) {}

bool chat_client::connect() {
  socket_.emplace(address_, "/ws", headers{bearer(who_.access_token)});
  welcome_ = nullptr;
  asked_.clear();
  json hello{{"type", "hello"}, {"client", "a test"}};
  if (!session_.empty()) hello["session"] = session_;
  for (auto& [id, c] : commands_)
    c.sends = c.acks = 0;
  say(hello);
  if (!wait([&] { return !welcome_.is_null(); })) return false;
  session_ = welcome_["session"];
  for (auto& [id, r] : rooms_) {
    r.is_open = false;
    r.live.clear();
    open(id, r.events.empty() ? 0 : r.events.rbegin()->first);
  }
  for (auto& [id, c] : commands_)
    if (!c.ack) resend(id);
  return true;
}

void chat_client::disconnect() { socket_.reset(); }

void chat_client::say(const json& frame) {
  if (socket_) socket_->send(frame.dump());
}

void chat_client::open(const std::string& room, std::optional<std::uint64_t> after) {
  json frame{{"type", "open"}, {"room", room}};
  if (after) frame["after"] = *after;
  rooms_[room];
  asked_[room] = after;
  say(frame);
}

void chat_client::close_room(const std::string& room) {
  say({{"type", "close"}, {"room", room}});
  rooms_[room].is_open = false;
}

std::string chat_client::send(const std::string& room, const std::string& text, json more) {
  auto id = random_id(random_);
  more.update({{"type", "send"}, {"id", id}, {"room", room}, {"text", text}});
  commands_[id].frame = std::move(more);
  resend(id);
  return id;
}

std::string chat_client::stop(const std::string& room, const std::string& answer) {
  auto id = random_id(random_);
  commands_[id].frame = {{"type", "stop"}, {"id", id}, {"room", room}, {"answer", answer}};
  resend(id);
  return id;
}

void chat_client::resend(const std::string& id) {
  auto& c = commands_.at(id);
  ++c.sends;
  say(c.frame);
}

std::size_t chat_client::unacked() const {
  return static_cast<std::size_t>(
      std::count_if(commands_.begin(), commands_.end(), [](const auto& c) { return !c.second.ack; }));
}

std::size_t chat_client::unfinished(const std::string& room) const {
  const auto& r = rooms_.at(room);
  std::size_t minted = 0;
  for (const auto& [seq, event] : r.events)
    if (event["kind"] == "message") minted += event["data"]["answers"].size();
  return minted - r.ended.size();
}

const json* chat_client::end_of(const std::string& room, const std::string& answer) const {
  const auto& r = rooms_.at(room);
  const auto it = r.ended.find(answer);
  return it == r.ended.end() ? nullptr : &r.events.at(it->second);
}

std::size_t chat_client::take_all() {
  std::size_t count = 0;
  while (socket_) {
    const auto text = socket_->receive(std::chrono::milliseconds{0});
    if (!text) break;
    ++count;
    const auto frame = json::parse(*text, nullptr, false);
    try {
      take(frame);
    } catch (const json::exception& e) {
      bad(e.what(), frame);
    }
  }
  return count;
}

bool chat_client::wait(const std::function<bool()>& so) { return pump({this}, so); }

std::optional<std::uint16_t> chat_client::wait_closed() {
  wait([] { return false; });
  return socket_ ? socket_->close_code() : std::nullopt;
}

void chat_client::bad(const std::string& what, const json& frame) {
  constexpr std::size_t enough = 20;
  if (wrong_.size() < enough) wrong_.push_back(what + ": " + frame.dump());
}

std::string chat_client::wrong() const {
  std::string out;
  for (const auto& w : wrong_)
    out += who_.name + ": " + w + "\n";
  return out;
}

void chat_client::take(const json& frame) {
  ++frames_;
  const auto type = frame.value("type", "");
  if (type == "welcome")
    welcome_ = frame;
  else if (type == "opened")
    take_opened(frame);
  else if (type == "event")
    take_event(frame);
  else if (type == "answer")
    take_answer(frame);
  else if (type == "delta")
    take_delta(frame);
  else if (type == "ack")
    take_ack(frame);
  else if (type == "error")
    errors_.push_back(frame);
  else if (type == "room")
    room_frames_.push_back(frame);
  else if (type == "pong")
    ++pongs_, last_pong_ = frame;
  else
    bad("unknown frame", frame);
}

void chat_client::take_opened(const json& frame) {
  auto& r = rooms_[frame.at("room")];
  const std::uint64_t head = frame.at("head"), from = frame.at("from"), floor = frame.at("floor");
  const auto asked = asked_.find(frame.at("room"));
  if (asked != asked_.end()) {
    constexpr std::uint64_t usual = 50;
    const auto after = asked->second ? std::min(*asked->second, head) : head - std::min(head, usual);
    if (from != std::max(after + 1, floor)) bad("opened from elsewhere than asked", frame);
    asked_.erase(asked);
  } else if (!r.is_open) {
    bad("opened without being asked", frame);
  } else if (from != r.next) {
    bad("opened again, but not from " + std::to_string(r.next), frame);
  }
  if (from > head + 1) bad("from is beyond the head", frame);
  if (!r.events.empty() && r.events.rbegin()->first > head) bad("an event was lost", frame);
  r.is_open = true;
  r.next = from;
  r.last_opened = frame;
  ++r.openings;
  r.live.clear();
  for (const auto& a : frame.at("answers")) {
    const std::string id = a.at("answer");
    if (r.live.contains(id) || r.ended.contains(id)) bad("an answer that has ended", frame);
    shown_answer shown{a.at("question"), a.at("agent"), a.at("state"),
                       a.at("attempt"),  a.at("n"),     a.at("text")};
    if (shown.attempt < r.attempts[id]) bad("an older attempt", frame);
    r.attempts[id] = shown.attempt;
    check_text(r, id, shown);
    r.live[id] = std::move(shown);
  }
}

void chat_client::take_event(const json& frame) {
  auto& r = rooms_[frame.at("room")];
  const std::uint64_t seq = frame.at("seq");
  if (!r.is_open || seq != r.next) bad("not the event " + std::to_string(r.next), frame);
  r.next = seq + 1;
  const auto [at, is_new] = r.events.emplace(seq, frame);
  if (!is_new && at->second != frame) bad("another event than before: " + at->second.dump(), frame);
  const std::string kind = frame.at("kind");
  if (kind == "message") questions_[frame.at("id")] = frame.at("data")["text"];
  if (kind.starts_with("answer")) take_end(r, frame);
}

void chat_client::take_end(room_view& r, const json& frame) {
  const auto& data = frame.at("data");
  const std::string id = data.at("answer"), kind = frame.at("kind"), text = data.at("text");
  const auto [at, is_new] = r.ended.emplace(id, frame.at("seq"));
  if (!is_new && at->second != frame.at("seq")) bad("a second end of an answer", frame);
  const auto live = r.live.find(id);
  if (live == r.live.end()) return;
  const auto& shown = live->second;
  if (kind == "answer" && text != shown.text) bad("not the text that was shown: " + shown.text, frame);
  if (kind == "answer" && data.at("attempts") != shown.attempt) bad("not the attempt that was shown", frame);
  if (!text.starts_with(shown.text)) bad("shorter than what was shown: " + shown.text, frame);
  r.live.erase(live);
}

void chat_client::take_answer(const json& frame) {
  auto& r = rooms_[frame.at("room")];
  const std::string id = frame.at("answer");
  if (r.ended.contains(id)) bad("a state after the end", frame);
  shown_answer now{frame.at("question"), frame.at("agent"), frame.at("state"),
                   frame.at("attempt"),  frame.at("n"),     frame.at("text")};
  const auto before = r.live.find(id);
  if (now.attempt < r.attempts[id]) bad("an older attempt", frame);
  if (before != r.live.end() && before->second.attempt == now.attempt &&
      (now.n < before->second.n || !now.text.starts_with(before->second.text)))
    bad("less than was shown of this attempt", frame);
  r.attempts[id] = now.attempt;
  check_text(r, id, now);
  r.live[id] = std::move(now);
}

void chat_client::take_delta(const json& frame) {
  auto& r = rooms_[frame.at("room")];
  const std::string id = frame.at("answer"), text = frame.at("text");
  const auto live = r.live.find(id);
  if (r.ended.contains(id)) bad("a delta after the end", frame);
  if (live == r.live.end()) return bad("a delta of an unknown answer", frame);
  auto& shown = live->second;
  const std::uint64_t n = frame.at("n"), count = frame.value("count", std::uint64_t{1});
  if (frame.at("attempt") != shown.attempt) bad("a delta of another attempt", frame);
  if (count == 0 || text.empty() || n - count != shown.n)
    bad("not the piece after " + std::to_string(shown.n), frame);
  shown.n = n;
  shown.text += text;
  check_text(r, id, shown);
}

void chat_client::take_ack(const json& frame) {
  const auto it = commands_.find(frame.at("id"));
  if (it == commands_.end()) return bad("an ack for nothing", frame);
  auto& c = it->second;
  if (++c.acks > c.sends) bad("more acks than commands", frame);
  if (frame.at("room") != c.frame.at("room")) bad("an ack for another room", frame);
  if (!c.ack) {
    c.ack = frame;
    return;
  }
  if (!frame.at("duplicate").get<bool>()) bad("a resend that is no duplicate", frame);
  for (const auto* same : {"seq", "event", "answers"})
    if ((*c.ack)[same] != frame[same]) bad("another ack than " + c.ack->dump(), frame);
}

// The question may be unknown while its event is yet to be replayed.
void chat_client::check_text(const room_view&, const std::string& answer, const shown_answer& shown) {
  const auto question = questions_.find(shown.question);
  if (!text_of_ || question == questions_.end()) return;
  const auto wanted = text_of_(question->second, shown.n);
  if (wanted != shown.text)
    bad("answer " + answer + " has " + std::to_string(shown.n) + " pieces and the wrong text",
        {{"wanted", wanted}, {"shown", shown.text}});
}

bool pump(const std::vector<chat_client*>& clients, const std::function<bool()>& so,
          std::chrono::milliseconds quiet) {
  while (true) {
    std::vector<pollfd> waiting;
    std::size_t frames = 0;
    for (auto* c : clients) {
      if (!c->connected()) continue;
      frames += c->take_all();
      if (c->connected()) waiting.push_back({c->socket()->link().fd(), POLLIN, 0});
    }
    if (so()) return true;
    if (waiting.empty()) return false;
    if (frames > 0) continue;
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(quiet.count())) == 0) return false;
  }
}

} // namespace maru::tests
