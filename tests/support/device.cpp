#include "tests/support/device.hpp"

#include <algorithm>
#include <utility>

namespace maru::test {

using json = nlohmann::json;

namespace {
constexpr std::size_t command_bytes = 100; // any number: it has to come back
} // namespace

void device::push(actors::frame_ptr out) {
  if (closed || !out) return;
  if (told) told(*this, *out);
  if (outbox_)
    outbox_->push(std::move(out));
  else
    take(json::parse(out->bytes));
}

void device::answer(actors::frame_ptr out, std::size_t bytes) {
  if (closed) return;
  if (commands_owed == 0 || bytes_owed < bytes)
    violations.push_back(name_ + ": more credit came back than was taken");
  else {
    --commands_owed;
    bytes_owed -= bytes;
  }
  push(std::move(out));
}

void device::close(close_code why) {
  if (closed) return;
  if (outbox_)
    outbox_->finish(why);
  else
    hang_up(why);
}

void device::lose() {
  if (!closed) hang_up(close_code::normal);
}

void device::hang_up(close_code why) {
  closed = why;
  if (port_) port_->gone(id_);
  port_ = nullptr;
  outbox_ = nullptr;
  departing_.clear();
}

void device::attach(std::shared_ptr<actors::session_port> to) {
  if (!closed) port_ = std::move(to);
}

void device::tell_when_drained() {
  if (outbox_) {
    if (port_ && outbox_->low_or_tell()) port_->drained(id_);
  } else if (slow_)
    wants_drained_ = true;
  else if (port_)
    port_->drained(id_);
}

void device::set_slow(bool slow) {
  slow_ = slow;
  if (!slow_ && std::exchange(wants_drained_, false) && port_) port_->drained(id_);
}

void device::command(actors::frame_in in) {
  if (outbox_)
    departing_.push_back(std::move(in));
  else
    hand_over(std::move(in));
}

bool device::depart() {
  if (departing_.empty() || !port_) return false;
  auto next = std::move(departing_.front());
  departing_.pop_front();
  hand_over(std::move(next));
  return true;
}

std::size_t device::arrive(std::size_t most) {
  if (!outbox_) return 0;
  net::outbox::gathered now;
  outbox_->gather(now);
  std::size_t came = 0;
  for (std::size_t i = 0; i < now.count && came < most; ++i) {
    const auto size = std::min(now.parts[i].iov_len, most - came);
    arriving_.append(static_cast<const char*>(now.parts[i].iov_base), size);
    came += size;
  }
  if (came == 0) return 0;
  const bool drained = outbox_->wrote(came);
  if (drained && port_) port_->drained(id_);
  take_bytes();
  return came;
}

void device::be_near() {
  while (depart()) {
  }
  while (outbox_ && arrive(outbox_->bytes()) > 0) {
  }
  outbox_ = nullptr;
  departing_.clear();
}

// The frames that are whole.
void device::take_bytes() {
  while (!closed && arriving_.size() >= 2) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(arriving_[at]); };
    std::size_t size = byte(1);
    std::size_t from = 2;
    if (size >= 126) {
      from += size == 126 ? 2 : 8;
      if (arriving_.size() < from) return;
      size = 0;
      for (std::size_t i = 2; i < from; ++i)
        size = size << 8U | byte(i);
    }
    if (arriving_.size() < from + size) return;
    const auto payload = arriving_.substr(from, size);
    const bool closes = (byte(0) & 0x0fU) == 0x8;
    arriving_.erase(0, from + size);
    if (closes)
      hang_up(static_cast<close_code>(static_cast<std::uint8_t>(payload[0]) << 8U |
                                      static_cast<std::uint8_t>(payload[1])));
    else
      take(json::parse(payload));
  }
}

void device::hand_over(actors::frame_in in) {
  if (!port_) return;
  ++commands_owed;
  bytes_owed += command_bytes;
  port_->take(id_, std::move(in), command_bytes);
}

void device::open(const uuid& room, std::optional<std::uint64_t> after) {
  command(actors::open_in{room, after});
}

void device::leave(const uuid& room) { command(actors::close_in{room}); }

uuid device::send(const uuid& room, const std::string& text, std::optional<std::vector<std::string>> agents,
                  std::optional<uuid> id) {
  actors::send_in what;
  what.key = id.value_or(uuid::v7(0));
  what.id = what.key.str();
  what.room = room;
  what.text = text;
  what.agents = std::move(agents);
  return send(std::move(what));
}

uuid device::send(actors::send_in what) {
  const auto key = what.key;
  command(std::move(what));
  return key;
}

uuid device::stop(const uuid& room, const uuid& answer, std::optional<uuid> id) {
  const auto key = id.value_or(uuid::v7(0));
  command(actors::stop_in{key.str(), key, room, answer});
  return key;
}

uuid device::retry(const uuid& room, const uuid& answer, std::optional<uuid> id) {
  const auto key = id.value_or(uuid::v7(0));
  command(actors::retry_in{key.str(), key, room, answer});
  return key;
}

std::size_t device::count(const std::string& type) const { return all(type).size(); }

std::vector<json> device::all(const std::string& type) const {
  std::vector<json> out;
  for (const auto& f : frames)
    if (f["type"] == type) out.push_back(f);
  return out;
}

std::vector<json> device::acks(const uuid& command) const {
  std::vector<json> out;
  for (const auto& f : frames)
    if (f["type"] == "ack" && f["id"] == command.str()) out.push_back(f);
  return out;
}

std::vector<json> device::errors(const uuid& command) const {
  std::vector<json> out;
  for (const auto& f : frames)
    if (f["type"] == "error" && f.value("id", "") == command.str()) out.push_back(f);
  return out;
}

std::vector<json> device::events(const std::string& kind) const {
  std::vector<json> out;
  for (const auto& f : frames)
    if (f["type"] == "event" && f["kind"] == kind) out.push_back(f);
  return out;
}

std::optional<std::string> device::shown(const uuid& room, const uuid& answer) const {
  const auto at = rooms_.find(room.str());
  if (at == rooms_.end()) return std::nullopt;
  const auto it = at->second.answers.find(answer.str());
  if (it == at->second.answers.end()) return std::nullopt;
  return it->second.text;
}

// --- the promises ------------------------------------------------------------------------------------------

void device::wrong(const std::string& what, const json& frame) {
  violations.push_back(name_ + ": " + what + ": " + frame.dump());
}

void device::take(const json& frame) {
  frames.push_back(frame);
  const auto& type = frame["type"];
  if (type == "welcome") {
    if (session) wrong("a second welcome", frame);
    session = uuid::parse(frame["session"].get<std::string>());
  }
  if (type == "opened") take_opened(frame);
  if (type == "event") take_event(frame);
  if (type == "answer") take_answer(frame);
  if (type == "delta") take_delta(frame);
  if (type == "ack") take_ack(frame);
}

void device::take_opened(const json& frame) {
  auto& room = rooms_[frame["room"]];
  room.opened = true;
  room.next = frame["from"];
  room.answers.clear();
  room.ended.clear();
  for (const auto& a : frame["answers"])
    room.answers[a["answer"]] = {a["attempt"], a["n"], a["text"]};
}

void device::take_event(const json& frame) {
  auto& room = rooms_[frame["room"]];
  if (!room.opened) return wrong("an event of a room that is not open", frame);
  if (frame["seq"] != room.next) wrong("expected event " + std::to_string(room.next), frame);
  room.next = frame["seq"].get<std::uint64_t>() + 1;
  if (frame["kind"].get<std::string>().starts_with("answer")) take_end(room, frame);
}

void device::take_end(room_view& room, const json& frame) {
  const std::string answer = frame["data"]["answer"];
  const std::string text = frame["data"]["text"];
  if (!room.ended.emplace(answer, text).second) wrong("a second end", frame);
  const auto it = room.answers.find(answer);
  if (it == room.answers.end()) return;
  if (!text.starts_with(it->second.text))
    wrong("the end is not what was shown, which is '" + it->second.text + "'", frame);
  room.answers.erase(it);
}

void device::take_answer(const json& frame) {
  auto& room = rooms_[frame["room"]];
  const std::string answer = frame["answer"];
  if (!room.opened) return wrong("an answer of a room that is not open", frame);
  if (room.ended.contains(answer)) wrong("an answer after its end", frame);
  auto& view = room.answers[answer];
  if (frame["attempt"] < view.attempt) wrong("an older attempt", frame);
  if (frame["attempt"] == view.attempt && !frame["text"].get<std::string>().starts_with(view.text))
    wrong("text was taken back within an attempt: '" + view.text + "'", frame);
  view = {frame["attempt"], frame["n"], frame["text"]};
}

void device::take_delta(const json& frame) {
  auto& room = rooms_[frame["room"]];
  const std::string answer = frame["answer"];
  if (room.ended.contains(answer)) wrong("a delta after the end", frame);
  const auto it = room.answers.find(answer);
  if (it == room.answers.end()) return wrong("a delta of an unknown answer", frame);
  auto& view = it->second;
  if (frame["attempt"] != view.attempt) wrong("a delta of another attempt", frame);
  const auto count = frame.value("count", std::uint64_t{1});
  if (frame["n"].get<std::uint64_t>() - count != view.n)
    wrong("a gap after piece " + std::to_string(view.n), frame);
  view.n = frame["n"];
  view.text += frame["text"].get<std::string>();
}

void device::take_ack(const json& frame) {
  const auto [it, fresh] = acked_.emplace(frame["id"], frame["seq"]);
  if (!fresh && it->second != frame["seq"]) wrong("acked with another seq before", frame);
}

} // namespace maru::test
