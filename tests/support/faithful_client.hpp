#pragma once

// A client as PROTOCOL.md wants it: keeps what is not yet answered, comes back where it was, and sends again.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/world.hpp"

namespace maru::test {

struct kept_command {
  uuid room;
  bool is_stop = false, is_retry = false;
  std::string text;                               // of a message
  std::optional<std::vector<std::string>> agents; // asked by it
  uuid answer;                                    // of a stop or a retry
  std::optional<nlohmann::json> ack;
  std::string refused; // for good, with this code
  bool again = false;  // refused for now
};

class faithful_client {
public:
  faithful_client(world& in, const uuid& user) : w_(in), user_(user) { dial(); }

  void open(const uuid& room); // from its first event on, and to stay
  uuid send(const uuid& room, const std::string& text, std::optional<std::vector<std::string>> agents = {});
  uuid stop(const uuid& room, const uuid& answer);
  uuid retry(const uuid& room, const uuid& answer);
  void send_again(const uuid& command);
  void open_again(const uuid& room); // where it is
  void lose();                       // the network is gone; tend() comes back
  void forget_session() { session_.reset(); }
  // Reads what came, comes back if the connection is gone, sends again what was refused for now.
  void tend();

  [[nodiscard]] bool content() const; // every command is answered, every open room is there
  // Where `content` is not: what is missing, in words.
  [[nodiscard]] std::vector<std::string> missing() const;

  std::map<uuid, kept_command> commands;
  std::vector<uuid> sent; // their ids, in order
  std::map<uuid, std::map<std::uint64_t, nlohmann::json>> seen;
  std::vector<std::string> violations;

private:
  void dial();
  void greet();
  uuid keep(kept_command what);
  void give(const uuid& id, const kept_command& what);
  void read(const nlohmann::json& frame);
  void read_error(const nlohmann::json& frame);
  void read_event(const nlohmann::json& frame);

  world& w_;
  uuid user_;
  device* now_ = nullptr;
  std::int64_t dialed_at_ = 0;
  bool greeted_ = false;
  std::size_t read_ = 0; // frames of now_
  std::optional<uuid> session_;
  std::set<uuid> rooms_;
  std::set<uuid> reopen_; // refused for now
};

// What is promised, held against the store, the clients and what the models said, once all has come to rest:
// acked commands are there once, numbers have no gaps, each answer has one end and says what the model said.
// Empty if all is well.
std::vector<std::string> broken_promises(world& w, const std::vector<uuid>& rooms,
                                         const std::vector<faithful_client*>& clients);

// Lets models answer and clients come back until nothing is left to do, at most for `most_ms`.
bool come_to_rest(world& w, const std::vector<uuid>& rooms, const std::vector<faithful_client*>& clients,
                  std::int64_t most_ms = 300'000);

} // namespace maru::test
