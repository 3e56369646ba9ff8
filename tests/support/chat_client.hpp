#pragma once

// A signed-in user over the real wire, that checks every frame against the contract while it takes it: what
// is wrong stands in wrong(). All on one thread; no assertion of Catch2 inside.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/ws_client.hpp"

namespace maru::tests {

using json = nlohmann::json;

struct api_reply {
  int status = 0;
  json body;
  http_reply raw;

  [[nodiscard]] std::string code() const { return body.is_object() ? body.value("code", "") : ""; }
};
api_reply api(const std::string& address, const std::string& token, std::string_view method,
              const std::string& path, const json& body = nullptr);

struct account {
  std::string name, id, access_token, refresh_token;
};
account sign_up(const std::string& address, const std::string& name); // throws when refused
std::string make_room(const std::string& address, const account& who,
                      const std::vector<std::string>& agents = {"maru"});
// All events from the first on, page by page.
std::vector<json> all_events(const std::string& address, const account& who, const std::string& room,
                             std::size_t page = 500);

std::string random_id(std::mt19937_64& random);

struct shown_answer {
  std::string question, agent, state;
  std::uint64_t attempt = 0, n = 0;
  std::string text;
};

struct room_view {
  std::map<std::uint64_t, json> events; // by seq, on all connections
  bool is_open = false;                 // on this connection
  std::uint64_t next = 1;               // seq of the event to come, while open
  std::map<std::string, shown_answer> live;
  std::map<std::string, std::uint64_t> ended;    // answer to the seq of its end
  std::map<std::string, std::uint64_t> attempts; // the highest seen of each answer
  json last_opened;
  std::uint64_t openings = 0;
};

struct command {
  json frame;
  std::optional<json> ack; // the first
  std::uint64_t sends = 0; // on this connection
  std::uint64_t acks = 0;  // on this connection
};

class chat_client {
public:
  chat_client(std::string address, account who, std::uint64_t seed);

  // What the text of an answer of n pieces to a question has to be; without it texts are only compared.
  using text_of = std::function<std::string(const std::string& question, std::uint64_t n)>;
  void expect(text_of text) { text_of_ = std::move(text); }

  bool connect(); // says hello, opens the rooms again, sends again what has no ack yet
  void disconnect();
  [[nodiscard]] bool connected() const { return socket_ && socket_->open(); }
  [[nodiscard]] ws_client* socket() { return socket_ ? &*socket_ : nullptr; }

  // Absent: the last 50. A room seen before goes on after its newest event when it is opened by connect().
  void open(const std::string& room, std::optional<std::uint64_t> after = 0);
  void close_room(const std::string& room);
  std::string send(const std::string& room, const std::string& text, json more = json::object());
  std::string stop(const std::string& room, const std::string& answer);
  void resend(const std::string& command);
  void say(const json& frame);

  std::size_t take_all(); // what there is now; the number of frames
  // Takes frames until it is so. False: closed, or nothing came for long.
  bool wait(const std::function<bool()>& so);
  std::optional<std::uint16_t> wait_closed(); // takes the frames before; the close code

  [[nodiscard]] const account& who() const { return who_; }
  [[nodiscard]] account& who() { return who_; }
  [[nodiscard]] const room_view& room(const std::string& id) const { return rooms_.at(id); }
  [[nodiscard]] const std::map<std::string, room_view>& rooms() const { return rooms_; }
  [[nodiscard]] const std::map<std::string, command>& commands() const { return commands_; }
  [[nodiscard]] bool acked(const std::string& command) const { return commands_.at(command).ack.has_value(); }
  [[nodiscard]] const json& ack(const std::string& command) const { return *commands_.at(command).ack; }
  [[nodiscard]] std::size_t unacked() const;
  [[nodiscard]] std::size_t unfinished(const std::string& room) const; // answers minted and not ended
  [[nodiscard]] const json* end_of(const std::string& room, const std::string& answer) const;
  [[nodiscard]] const std::vector<json>& errors() const { return errors_; }
  [[nodiscard]] const std::vector<json>& room_frames() const { return room_frames_; }
  [[nodiscard]] const json& welcome() const { return welcome_; }
  [[nodiscard]] const std::string& session() const { return session_; }
  void forget_session() { session_.clear(); }
  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] std::uint64_t pongs() const { return pongs_; }
  [[nodiscard]] const json& last_pong() const { return last_pong_; }
  [[nodiscard]] std::string wrong() const; // "" when all was right

private:
  void take(const json& frame);
  void take_opened(const json& frame);
  void take_event(const json& frame);
  void take_end(room_view& room, const json& frame);
  void take_answer(const json& frame);
  void take_delta(const json& frame);
  void take_ack(const json& frame);
  void check_text(const room_view& room, const std::string& answer, const shown_answer& shown);
  void bad(const std::string& what, const json& frame);

  std::string address_;
  account who_;
  std::mt19937_64 random_;
  text_of text_of_;
  std::optional<ws_client> socket_;
  std::string session_;
  json welcome_;
  std::map<std::string, room_view> rooms_;
  std::map<std::string, command> commands_;
  std::map<std::string, std::optional<std::uint64_t>> asked_; // opens not yet answered
  std::map<std::string, std::string> questions_;              // event id to its text
  std::vector<json> errors_, room_frames_;
  std::vector<std::string> wrong_;
  std::uint64_t frames_ = 0, pongs_ = 0;
  json last_pong_;
};

// Takes what comes for any of them until it is so. False when nothing came for long, or all are closed.
bool pump(const std::vector<chat_client*>& clients, const std::function<bool()>& so,
          std::chrono::milliseconds quiet = std::chrono::seconds{20});

} // namespace maru::tests
