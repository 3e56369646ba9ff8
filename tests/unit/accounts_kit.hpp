#pragma once

// The actor of the accounts with a store, cheap passwords, and a directory whose people note what they are
// told.

#include <memory>
#include <string>
#include <vector>

#include "actors/accounts.hpp"
#include "tests/support/actor_rig.hpp"
#include "tests/support/catch.hpp"

namespace maru::actors::tests {

struct office {
  office() {
    rig.settings.auth.argon2_memory_kib = 8;
    rig.settings.auth.argon2_passes = 1;
    rig.also_pump([this] { return pool->run_waiting(); });
    open();
  }
  void open() {
    auto svc = rig.make_services();
    svc.directory = rig.own(rig.system().spawn(
        [this](directory_actor::pointer, int) -> directory_actor::behavior_type {
          return {
              [](room_atom, const uuid&) -> caf::result<room_actor> { return caf::sec::runtime_error; },
              [this](user_atom, const uuid&) -> caf::result<user_actor> { return user(); },
              [](session_atom, const uuid&) -> caf::result<session_actor> { return caf::sec::runtime_error; },
              [](const agent_name&) -> caf::result<agent_actor> { return caf::sec::runtime_error; },
              [](due_atom, const agent_name&) {},
              [](due_atom, const uuid&) {},
          };
        },
        0));
    handle = rig.own(rig.system().spawn(accounts, std::make_shared<const services>(svc), pool));
    rig.settle();
  }
  user_actor user() {
    return rig.own(rig.system().spawn(
        [this](user_actor::pointer, int) -> user_actor::behavior_type {
          return {
              [](std::uint64_t, const room_client&, const person&, const uuid&, const post_message&) {},
              [](std::uint64_t, const room_client&, const person&, const uuid&, const stop_answer&) {},
              [](std::uint64_t, const room_client&, const person&, const uuid&, const retry_answer&) {},
              [](std::uint64_t, const room_client&, const person&, const uuid&, const schedule_message&) {},
              [](std::uint64_t, const room_client&, const person&, const uuid&, const cancel_scheduled&) {},
              [](const command_done&) {},
              [](const session_actor&, const uuid&) { return refusal{}; },
              [](const std::string&) {},
              [](const session_actor&) {},
              [this](const uuid& family) { told.push_back(family); },
          };
        },
        0));
  }

  api::reply call(api::request what, const std::string& token = "") {
    return rig.ask_now<api::reply>(handle, token, std::move(what)).value.value();
  }
  api::signed_in signup(const std::string& name, const std::string& password = "correct horse") {
    return std::get<api::signed_in>(call(api::signup{name, password, ""}));
  }
  code refused(api::request what, const std::string& token = "") {
    const auto reply = call(std::move(what), token);
    const auto* why = std::get_if<refusal>(&reply);
    return why ? why->why : code::ok;
  }
  code token_is(const std::string& token) { return refused(api::identify{}, token); }

  std::shared_ptr<password_pool> pool = std::make_shared<password_pool>(0);
  std::vector<uuid> told;
  test::actor_rig rig; // ends first: it pumps the pool
  accounts_actor handle;
};

} // namespace maru::actors::tests
