#pragma once

// A client in a test: a socket that keeps what it gets and holds it against the promises of the protocol.
// A distant one has a network in between: what is on its way waits there until the test lets it on.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "actors/wire.hpp"
#include "net/outbox.hpp"

namespace maru::test {

class device final : public actors::connection {
public:
  device(std::uint64_t id, std::string name) : id_(id), name_(std::move(name)) {}

  void push(actors::frame_ptr out) override;
  void answer(actors::frame_ptr out, std::size_t bytes) override;
  void close(close_code why) override;
  void attach(std::shared_ptr<actors::session_port> to) override;
  void tell_when_drained() override;
  [[nodiscard]] std::uint64_t id() const override { return id_; }
  [[nodiscard]] bool may_continue() const override { return !stream_; }

  // What the client does. Each command returns its id.
  void open(const uuid& room, std::optional<std::uint64_t> after = {});
  void leave(const uuid& room);
  uuid send(const uuid& room, const std::string& text, std::optional<std::vector<std::string>> agents = {},
            std::optional<uuid> id = {});
  uuid send(actors::send_in what);
  uuid stop(const uuid& room, const uuid& answer, std::optional<uuid> id = {});
  uuid retry(const uuid& room, const uuid& answer, std::optional<uuid> id = {});
  void lose(); // the network is gone
  [[nodiscard]] bool attached() const { return port_ != nullptr; }
  void set_slow(bool slow);
  void be_stream() { stream_ = true; } // of one room, as server-sent events are; before it is attached

  // A distant one; before it is attached.
  void be_distant(const actors::frame_codec& codec) { outbox_ = std::make_unique<net::outbox>(codec); }
  void be_near();                       // all that is on its way arrives
  bool depart();                        // the next command reaches the server
  std::size_t arrive(std::size_t most); // so many bytes reach the client; how many there were
  // Told of each frame when the server lets go of it.
  std::function<void(const device& to, const actors::frame& what)> told;

  // What it got.
  [[nodiscard]] std::size_t count(const std::string& type) const;
  [[nodiscard]] std::vector<nlohmann::json> all(const std::string& type) const;
  [[nodiscard]] std::vector<nlohmann::json> acks(const uuid& command) const;
  [[nodiscard]] std::vector<nlohmann::json> errors(const uuid& command) const;
  [[nodiscard]] std::vector<nlohmann::json> events(const std::string& kind) const;
  // The text shown of an unfinished answer; nothing if it is not known or has ended.
  [[nodiscard]] std::optional<std::string> shown(const uuid& room, const uuid& answer) const;

  std::vector<nlohmann::json> frames;
  std::vector<std::string> violations; // of the protocol, in words
  std::optional<close_code> closed;
  std::optional<uuid> session;
  std::size_t commands_owed = 0; // credit not yet given back
  std::size_t bytes_owed = 0;

private:
  struct answer_view {
    std::uint32_t attempt = 0;
    std::uint64_t n = 0;
    std::string text;
  };
  struct room_view {
    bool opened = false;
    std::uint64_t next = 0;
    std::map<std::string, answer_view> answers;
    std::map<std::string, std::string> ended;
  };

  void take(const nlohmann::json& frame);
  void take_opened(const nlohmann::json& frame);
  void take_event(const nlohmann::json& frame);
  void take_end(room_view& room, const nlohmann::json& frame);
  void take_answer(const nlohmann::json& frame);
  void take_delta(const nlohmann::json& frame);
  void take_ack(const nlohmann::json& frame);
  void wrong(const std::string& what, const nlohmann::json& frame);
  void command(actors::frame_in in);
  void hand_over(actors::frame_in in);
  void hang_up(close_code why);
  void take_bytes();

  std::uint64_t id_ = 0;
  std::string name_;
  std::shared_ptr<actors::session_port> port_;
  std::unique_ptr<net::outbox> outbox_; // of a distant one
  std::deque<actors::frame_in> departing_;
  std::string arriving_; // the beginning of a frame
  bool stream_ = false;
  bool slow_ = false, wants_drained_ = false;
  std::map<std::string, room_view> rooms_;
  std::map<std::string, std::uint64_t> acked_; // seq by command
};

} // namespace maru::test
