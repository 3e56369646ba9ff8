#pragma once

// Somebody who posts and remembers what was acknowledged: all of it has to be there, whatever came between.

#include <map>

#include "base/uuid.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {

// The log comes through a pipe: perhaps later than a reply that rests on the same.
inline void check_said(const server_process& server, const std::string& words) {
  server.wait_log(words, std::chrono::seconds{10});
  const auto log = server.log();
  INFO("wanted: " << words << "\nsaid:\n" << log);
  CHECK(log.find(words) != std::string::npos);
}

class talker {
public:
  talker(house& in, const std::string& name) : in_(in), who_(in.person(name)), room_(in.room(who_)) {}

  // The status it was answered with.
  int post(const std::string& text = "a line") {
    last_ = in_.post(who_, path(), {{"id", uuid::v7(0).str()}, {"text", text}, {"agents", json::array()}});
    if (last_.status == 202) acked_[last_.body["seq"]] = {last_.body["event"], text};
    return last_.status;
  }
  void post_many(int count) {
    for (int n = 0; n < count; ++n)
      REQUIRE(post("line " + std::to_string(n)) == 202);
  }
  void check_all() const { check_all(in_.address()); }
  void check_all(const std::string& address) const {
    const auto there = all_events(address, who_, room_);
    for (const auto& [seq, what] : acked_) {
      REQUIRE(seq <= there.size());
      CHECK(there[seq - 1]["id"] == what.event);
      CHECK(there[seq - 1]["data"]["text"] == what.text);
    }
  }

  [[nodiscard]] const api_reply& last() const { return last_; }
  [[nodiscard]] const account& who() const { return who_; }
  [[nodiscard]] const std::string& room() const { return room_; }
  [[nodiscard]] std::size_t acked() const { return acked_.size(); }
  [[nodiscard]] std::string path() const { return "/api/v1/rooms/" + room_ + "/messages"; }

private:
  struct posted {
    std::string event, text;
  };
  house& in_;
  account who_;
  std::string room_;
  api_reply last_;
  std::map<std::uint64_t, posted> acked_; // by seq
};

} // namespace maru::tests
