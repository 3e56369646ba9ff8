// How the process begins and ends, and what it leaves on the disk.

#include <csignal>
#include <filesystem>

#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

using std::filesystem::perms;

perms for_others(const std::filesystem::path& what) {
  return std::filesystem::status(what).permissions() & (perms::group_all | perms::others_all);
}

} // namespace

TEST_CASE("a second SIGTERM while the server goes down does not end it any other way") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  // It does not answer the goodbye, so the server waits for it.
  ws_client silent(h.address(), "/ws", {bearer(ann.access_token)});
  REQUIRE(silent.open());
  h.server.send_signal(SIGTERM);
  REQUIRE(h.server.wait_log("going down"));
  for (int i = 0; i < 3; ++i)
    h.server.send_signal(SIGTERM);
  h.server.send_signal(SIGINT);
  CHECK(h.server.wait_end() == 0);
  CHECK(h.server.log().find("maru has ended") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(h.server.data() / "maru.control"));
}

TEST_CASE("two SIGTERMs at once end the server in order") {
  house h(MARU_BINARY);
  h.server.send_signal(SIGTERM);
  h.server.send_signal(SIGTERM);
  CHECK(h.server.wait_end() == 0);
  CHECK_FALSE(std::filesystem::exists(h.server.data() / "maru.control"));
}

TEST_CASE("a SIGTERM while the server starts ends it in order") {
  server_process server(MARU_BINARY, {});
  server.begin_start();
  REQUIRE(server.wait_log(" starts "));
  CHECK(server.terminate() == 0);
  CHECK_FALSE(std::filesystem::exists(server.data() / "maru.control"));
  server.start();
  CHECK(server.terminate() == 0);
}

TEST_CASE("what is in the data directory is for its owner alone, from the folder on") {
  server_options options;
  house h(MARU_BINARY, test::answers(5, 1), options);
  h.person("ann");
  CHECK(for_others(h.server.data()) == perms::none);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(h.server.data())) {
    CAPTURE(entry.path());
    CHECK(for_others(entry) == perms::none);
    ++files;
  }
  CHECK(files >= 3); // the database, its log, the control file
}

TEST_CASE("a second server on the same data is refused and leaves the first one alone") {
  house h(MARU_BINARY);
  server_options options;
  options.data = h.server.data();
  server_process second(MARU_BINARY, options);
  second.begin_start();
  CHECK(second.wait_end() == 1);
  CHECK(second.log().find("is in use by process " + std::to_string(h.server.pid())) != std::string::npos);
  CHECK(std::filesystem::exists(h.server.data() / "maru.control"));
  h.person("ann");
}

} // namespace maru::tests
