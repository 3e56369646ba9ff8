#pragma once

// A server with its model, and people in it: what most tests of the whole begin with.

#include "tests/support/catch.hpp"
#include "tests/support/chat_client.hpp"
#include "tests/support/fake_model.hpp"
#include "tests/support/seed.hpp"
#include "tests/support/server_process.hpp"

namespace maru::tests {

struct house {
  explicit house(std::string binary, test::fake_behaviour model_does = test::answers(5, 1),
                 server_options options = {})
      : model(std::move(model_does)), server(std::move(binary), with_model(std::move(options))) {
    server.start();
  }

  [[nodiscard]] const std::string& address() const { return server.address(); }
  account person(const std::string& name) { return sign_up(address(), name); }
  std::string room(const account& who, const std::vector<std::string>& agents = {"maru"}) {
    return make_room(address(), who, agents);
  }
  // A device that has said hello and opened the room.
  std::unique_ptr<chat_client> device(const account& who, const std::string& in = "") {
    auto out = std::make_unique<chat_client>(address(), who, ++seeds);
    REQUIRE(out->connect());
    if (in.empty()) return out;
    out->open(in);
    REQUIRE(out->wait([&] { return out->room(in).is_open; }));
    return out;
  }
  api_reply get(const account& who, const std::string& path) {
    return api(address(), who.access_token, "GET", path);
  }
  api_reply post(const account& who, const std::string& path, const json& body) {
    return api(address(), who.access_token, "POST", path, body);
  }

  test::fake_model model;
  server_process server;
  std::uint64_t seeds = seed();

private:
  [[nodiscard]] server_options with_model(server_options options) const {
    if (options.model_url.empty()) options.model_url = model.url();
    return options;
  }
};

// Waits for the ack of a command, and gives it.
inline const json& acked(chat_client& c, const std::string& command) {
  REQUIRE(c.wait([&] { return c.acked(command); }));
  return c.ack(command);
}

// Waits for the end of the first answer to a question, and gives its event.
inline const json& ended(chat_client& c, const std::string& command) {
  const auto& ack = acked(c, command);
  const std::string room = ack["room"], answer = ack["answers"].at(0)["answer"];
  REQUIRE(c.wait([&] { return c.end_of(room, answer) != nullptr; }));
  return *c.end_of(room, answer);
}

} // namespace maru::tests
