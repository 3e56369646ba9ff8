// `maru backup` of a server under work, and `maru restore`: tried by comparing.

#include <atomic>
#include <thread>

#include <sys/resource.h>

#include "base/uuid.hpp"
#include "tests/support/command.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

ran maru(const std::string& order, const std::filesystem::path& file, const std::filesystem::path& data) {
  return run({MARU_BINARY, order, file.string(), "--set", "server.data=" + data.string()});
}

} // namespace

TEST_CASE("a backup of a server under work, restored elsewhere, holds all that was confirmed before it") {
  house h(MARU_BINARY, test::answers(3, 1));
  const auto ada = h.person("ada");
  const auto room = h.room(ada);
  std::atomic<std::uint64_t> confirmed{0};
  std::atomic<bool> over{false};
  std::thread work([&] {
    while (!over) {
      const auto sent = h.post(ada, "/api/v1/rooms/" + room + "/messages",
                               {{"id", uuid::v7(0).str()}, {"text", "line"}, {"agents", json::array()}});
      if (sent.status == 202) confirmed = sent.body["seq"].get<std::uint64_t>();
    }
  });
  while (confirmed < 50)
    std::this_thread::yield();
  const std::uint64_t before = confirmed;
  const auto copy = h.server.directory() / "copy.db";
  const auto made = maru("backup", copy, h.server.data());
  CAPTURE(made.err);
  CHECK(made.status == 0);
  CHECK(made.out.find("1 accounts, 1 rooms") != std::string::npos);
  over = true;
  work.join();
  const auto all = all_events(h.address(), ada, room);

  server_options elsewhere;
  elsewhere.set = {"limits.messages_per_minute_per_user=0"};
  server_process other(MARU_BINARY, elsewhere);
  const auto put = maru("restore", copy, other.data());
  CAPTURE(put.err);
  REQUIRE(put.status == 0);
  other.start();
  const auto there = all_events(other.address(), ada, room); // her token is still good
  CHECK(there.size() >= before);
  REQUIRE(there.size() <= all.size());
  CHECK(std::equal(there.begin(), there.end(), all.begin()));
  const auto next = api(other.address(), ada.access_token, "POST", "/api/v1/rooms/" + room + "/messages",
                        {{"id", uuid::v7(0).str()}, {"text", "and on"}, {"agents", json::array()}});
  CHECK(next.status == 202);
  CHECK(next.body["seq"] == there.size() + 1);
}

TEST_CASE("a question that waits in a backup is answered where it is restored") {
  house h(MARU_BINARY, test::answers(3, 60'000)); // nobody waits that long
  const auto ada = h.person("ada");
  const auto room = h.room(ada);
  const auto asked =
      h.post(ada, "/api/v1/rooms/" + room + "/messages", {{"id", uuid::v7(0).str()}, {"text", "and?"}});
  REQUIRE(asked.status == 202);
  const auto copy = h.server.directory() / "copy.db";
  REQUIRE(maru("backup", copy, h.server.data()).status == 0);

  test::fake_model quick(test::answers(3, 1));
  server_options elsewhere;
  elsewhere.model_url = quick.url();
  server_process other(MARU_BINARY, elsewhere);
  REQUIRE(maru("restore", copy, other.data()).status == 0);
  other.start();
  chat_client device(other.address(), ada, 1);
  REQUIRE(device.connect());
  device.open(room);
  const std::string answer = asked.body["answers"][0]["answer"];
  CHECK(device.wait([&] { return device.end_of(room, answer) != nullptr; }));
  CHECK(device.end_of(room, answer)->at("kind") == "answer");
}

TEST_CASE("restore leaves a running server alone, and says what to do") {
  house h(MARU_BINARY);
  h.person("ada");
  const auto copy = h.server.directory() / "copy.db";
  REQUIRE(maru("backup", copy, h.server.data()).status == 0);
  const auto refused = maru("restore", copy, h.server.data());
  CHECK(refused.status == 1);
  CHECK(refused.err.find("stop that one first") != std::string::npos);
  CHECK(maru("backup", copy, h.server.data()).status == 1);
  CHECK(run({MARU_BINARY, "backup"}).status == 2);
  CHECK(h.get(sign_up(h.address(), "bea"), "/api/v1/me").status == 200);
  // Its own backup, once it is stopped.
  CHECK(h.server.terminate() == 0);
  const auto done = maru("restore", copy, h.server.data());
  CAPTURE(done.err);
  CHECK(done.status == 0);
  CHECK(done.out.find("What was there before is") != std::string::npos);
  h.server.start();
  CHECK(sign_up(h.address(), "bea").name == "bea"); // she came after the backup
}

} // namespace maru::tests
