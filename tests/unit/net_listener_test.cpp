// Listening on socket files.

#include <filesystem>
#include <fstream>
#include <future>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/local_get.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;

namespace {

struct socket_rig : net_rig {
  socket_rig() {
    std::filesystem::create_directories(folder);
    settings.server.listen = {"unix:" + path.string()};
  }
  ~socket_rig() {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  // What start() says is wrong; "" nothing.
  std::string why_not() {
    try {
      start();
    } catch (const std::exception& e) {
      return e.what();
    }
    return "";
  }

  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("maru-sock-" + uuid::v7(0).str());
  std::filesystem::path path = folder / "maru.sock";
};

// As a process that was killed leaves it: bound, and nobody there.
void leave_stale(const std::filesystem::path& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.string().copy(at.sun_path, sizeof at.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  ::close(fd);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("HTTP and WebSockets go through a socket file, for its owner and group", "[net][listener]") {
  socket_rig rig;
  rig.start();
  CHECK(rig.address == "unix:" + rig.path.string());
  struct stat found{};
  REQUIRE(::stat(rig.path.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0660);
  CHECK(rig.get("/healthz").status == 200);
  auto socket = rig.socket();
  const auto connection = rig.greet(socket);
  connection->push(text_frame("{}"));
  CHECK(socket.receive() == "{}");
  CHECK(net::local_get(rig.address, "/healthz", "").status == 200);
  rig.server.reset();
  CHECK_FALSE(std::filesystem::exists(rig.path));
  CHECK(net::local_get("unix:" + rig.path.string(), "/healthz", "").status == 0);
}

TEST_CASE("ports and socket files stand in one list, and draining removes the file", "[net][listener]") {
  socket_rig rig;
  rig.settings.server.listen.push_back("127.0.0.1:0");
  rig.start();
  REQUIRE(rig.server->addresses().size() == 2);
  for (const auto& one : rig.server->addresses())
    CHECK(http_request(one, "GET", "/healthz").status == 200);
  std::promise<void> done;
  rig.server->drain([&] { done.set_value(); });
  CHECK(done.get_future().wait_for(patience) == std::future_status::ready);
  CHECK_FALSE(std::filesystem::exists(rig.path));
}

TEST_CASE("what a killed server left is replaced", "[net][listener]") {
  socket_rig rig;
  leave_stale(rig.path);
  rig.start();
  CHECK(rig.get("/healthz").status == 200);
}

TEST_CASE("a socket file that another process listens on stays its own", "[net][listener]") {
  socket_rig first;
  first.start();
  net_rig second;
  second.settings.server.listen = first.settings.server.listen;
  std::string why;
  try {
    second.start();
  } catch (const std::exception& e) {
    why = e.what();
  }
  CHECK(has(why, first.path.string()));
  CHECK(has(why, "another process listens there"));
  CHECK(first.get("/healthz").status == 200);
}

TEST_CASE("another kind of file is left alone", "[net][listener]") {
  socket_rig rig;
  SECTION("a file") { std::ofstream{rig.path} << "precious"; }
  SECTION("a directory") { std::filesystem::create_directories(rig.path); }
  SECTION("a link, even to a socket that is stale") {
    leave_stale(rig.folder / "real");
    std::filesystem::create_symlink(rig.folder / "real", rig.path);
  }
  CHECK(has(rig.why_not(), "it is no socket"));
  CHECK(std::filesystem::exists(std::filesystem::symlink_status(rig.path)));
}

TEST_CASE("a socket file that another has replaced is not removed", "[net][listener]") {
  socket_rig rig;
  rig.start();
  std::filesystem::remove(rig.path);
  leave_stale(rig.path);
  rig.server.reset();
  CHECK(std::filesystem::exists(rig.path));
}

TEST_CASE("a start that fails leaves no socket file", "[net][listener]") {
  socket_rig rig;
  rig.settings.server.listen.push_back("unix:/no/such/folder/maru.sock");
  CHECK(has(rig.why_not(), "/no/such/folder"));
  rig.server.reset();
  CHECK_FALSE(std::filesystem::exists(rig.path));
}

TEST_CASE("who comes through a socket file is not counted per address", "[net][listener]") {
  socket_rig rig;
  rig.settings.limits.requests_per_minute_per_address = 1;
  rig.settings.limits.signups_per_minute_per_address = 1;
  rig.start();
  for (int i = 0; i < 5; ++i) {
    CHECK(rig.get("/missing").status == 404);
    CHECK(rig.get("/api/v1/me", {bearer("bad")}).status == 401);
    CHECK(rig.post("/api/v1/signup", "{}").status == 400);
  }
}

TEST_CASE("connections through a socket file come and go without a trace", "[net][listener]") {
  socket_rig rig;
  rig.start();
  for (int round = 0; round < 30; ++round) {
    auto client = rig.socket();
    const auto connection = rig.greet(client);
    if (round % 3 == 0) connection->close(close_code::normal);
    if (round % 3 == 1) client.link().cut();
    if (round % 3 == 2) client.close();
  }
  std::promise<void> done;
  rig.server->drain([&] { done.set_value(); });
  CHECK(done.get_future().wait_for(patience) == std::future_status::ready);
  CHECK(rig.server->connections() == 0);
}
