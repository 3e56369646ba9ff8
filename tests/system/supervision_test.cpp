// Faults of actors in the real server, and how the process ends when nothing else helps.

#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/support/command.hpp"
#include "tests/support/house.hpp"
#include "tests/support/numbers.hpp"

namespace maru::tests {
namespace {

constexpr std::size_t token_chars = 64; // as long as the operator's

std::string asking_for(std::string what) {
  what.resize(token_chars, 'x');
  return what;
}

server_options faulty(std::vector<std::string> set = {}) {
  server_options out;
  out.environment = {"LD_PRELOAD=" MARU_FAULTY_SODIUM};
  out.set = std::move(set);
  return out;
}

std::size_t entries_of(const server_process& server, const std::string& what) {
  std::error_code none;
  std::size_t out = 0;
  const std::filesystem::path folder = "/proc/" + std::to_string(server.pid()) + "/" + what;
  for (std::filesystem::directory_iterator at(folder, none), end; !none && at != end; at.increment(none))
    ++out;
  return out;
}

constexpr int asked_most = 5000; // requests

// Between its fall and its next start nobody answers calls.
bool served_again(house& h, const account& who) {
  for (int i = 0; i < asked_most; ++i)
    if (h.get(who, "/api/v1/rooms").status == 200) return true;
  return false;
}

// With a token: without, an address may ask so often and no more.
numbers scrape(const house& h, const account& admin) {
  return numbers{http_request(h.address(), "GET", "/metrics",
                              {named_here, {"Authorization", "Bearer " + admin.access_token}})
                     .body};
}

} // namespace

TEST_CASE("a call whose actor falls is told so, and the next one is served") {
  house h(MARU_BINARY, test::answers(5, 1), faulty());
  const auto ann = h.person("ann");
  const auto reply = api(h.address(), asking_for("throw"), "GET", "/api/v1/rooms");
  CHECK(reply.status == 503);
  CHECK(reply.raw.has("retry-after"));
  CHECK(served_again(h, ann));
  const auto tree = run({MARU_BINARY, "tree", "--set", "server.data=" + h.server.data().string()});
  CHECK(tree.status == 0);
  CHECK(tree.out.find("a fault that a test asked for") != std::string::npos);
  CHECK(tree.out.find("restarts 1 (") != std::string::npos);
  const auto all = run({MARU_BINARY, "tree", "--json", "--set", "server.data=" + h.server.data().string()});
  for (const auto& child : json::parse(all.out)) {
    CAPTURE(child.dump());
    CHECK(child["state"] == "running");
    CHECK(child["restarts"] == (child["name"] == "api" ? 1 : 0));
    CHECK(child["restarts_most"] == 5);
    CHECK(child["waits_for"].is_null());
    CHECK(child["last_error_at"].is_null() == (child["name"] != "api"));
  }
}

TEST_CASE("a part that falls too often ends the process in order: 1001, a line that says why, status 1") {
  house h(MARU_BINARY, test::answers(5, 1),
          faulty({"supervision.root_restarts=2", "supervision.root_period_seconds=60"}));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  auto device = h.device(ann, room);
  const auto before = device->send(room, "a question");
  ended(*device, before);
  // Some meet an actor that is being started.
  for (int i = 0; i < 1000 && h.server.log().find("fell 3 times") == std::string::npos; ++i)
    api(h.address(), asking_for("throw"), "GET", "/api/v1/rooms");
  CHECK(device->wait_closed() == 1001);
  CHECK(h.server.wait_end() == 1);
  const auto log = h.server.log();
  CHECK(log.find("api fell 3 times within 60 s; last error: ") != std::string::npos);
  CHECK(log.find("a fault that a test asked for") != std::string::npos);
  CHECK(log.find("could not go on") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(h.server.data() / "maru.control"));
  h.server.start();
  CHECK(h.get(ann, "/api/v1/rooms/" + room + "/events").body["events"].size() == 2);
  CHECK(h.server.terminate() == 0);
}

TEST_CASE("a thread that never comes back ends the process with a line that names the actor") {
  house h(MARU_BINARY, test::answers(5, 1),
          faulty({"supervision.stuck_seconds=4", "supervision.backoff_most_ms=3000", "server.threads=2"}));
  const auto ann = h.person("ann");
  std::thread caller([&] { api(h.address(), asking_for("hang"), "GET", "/api/v1/rooms"); });
  CHECK(h.server.wait_end() == 1);
  caller.join();
  INFO(h.server.log());
  CHECK(h.server.log().find("the process ends") != std::string::npos);
  CHECK(h.server.log().find(", api: ") != std::string::npos);
  h.server.start();
  CHECK(h.get(ann, "/api/v1/rooms").status == 200);
}

TEST_CASE("a server that was stopped for longer than anybody may be stuck goes on") {
  house h(MARU_BINARY, test::answers(5, 1),
          faulty({"supervision.stuck_seconds=4", "supervision.backoff_most_ms=3000"}));
  const auto ann = h.person("ann");
  h.server.send_signal(SIGSTOP);
  CHECK_FALSE(h.server.wait_log("the process ends", std::chrono::seconds{7}));
  h.server.send_signal(SIGCONT);
  CHECK(h.get(ann, "/api/v1/rooms").status == 200);
  CHECK_FALSE(h.server.wait_log("is replaced", std::chrono::seconds{3}));
  CHECK(h.server.terminate() == 0);
}

TEST_CASE("a round of load leaves no more behind than the round before") {
  house h(MARU_BINARY, test::answers(20, 1));
  const auto ann = h.person("ann"), bob = h.person("bob");
  const std::vector<std::string> rooms{h.room(ann), h.room(ann), h.room(bob)};
  const auto load = [&] {
    for (const auto& who : {ann, bob})
      for (const auto& room : rooms) {
        if (h.get(who, "/api/v1/rooms/" + room).status != 200) continue;
        auto device = h.device(who, room);
        ended(*device, device->send(room, "a question"));
        const auto& ack = acked(*device, device->send(room, "another"));
        device->stop(room, ack["answers"].at(0)["answer"]);
        h.get(who, "/api/v1/rooms?limit=1");
        device->disconnect();
      }
  };
  struct left {
    std::size_t files = 0, threads = 0;
    double rooms = 0, agents = 0, users = 0, running = 0, connections = 0;
  };
  const auto look = [&] {
    numbers got = scrape(h, ann);
    // What is closed here is noticed there a moment later.
    for (int i = 0; i < asked_most && (got.value(R"(maru_connections{kind="ws"})") > 0 ||
                                       got.value(R"(maru_provider_calls_running{provider="model"})") > 0);
         ++i) {
      got = scrape(h, ann);
    }
    return left{entries_of(h.server, "fd"),
                entries_of(h.server, "task"),
                got.value(R"(maru_actors{actor="room"})"),
                got.value(R"(maru_actors{actor="agent"})"),
                got.value(R"(maru_actors{actor="user"})"),
                got.value(R"(maru_provider_calls_running{provider="model"})"),
                got.value(R"(maru_connections{kind="ws"})")};
  };
  load();
  const auto first = look();
  load();
  load();
  const auto then = look();
  CHECK(then.threads == first.threads);
  CHECK(then.files <= first.files + 2); // a kept connection of a client, or to the model
  CHECK(then.rooms == first.rooms);
  CHECK(then.agents == first.agents);
  CHECK(then.users == first.users);
  CHECK(then.running == 0);
  CHECK(then.connections == 0);
}

} // namespace maru::tests
