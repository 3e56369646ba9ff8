// Attacks that want memory. What the server holds for each is bounded by what config/limits.hpp names,
// whoever has done nothing is served meanwhile, and it goes on as if nothing had been.

#include <sys/resource.h>
#include <sys/socket.h>

#include "base/uuid.hpp"
#include "config/limits.hpp"
#include "tests/support/house.hpp"
#include "tests/support/ws_client.hpp"

namespace maru::tests {
namespace {

constexpr std::uint64_t kib = 1024;
// What a connection costs that is not what was sent to it: buffers, timers, the actors of its person.
constexpr std::uint64_t connection_kib = 24;
// The store's caches, what the allocator keeps, the log of the database, whoever else is there.
constexpr std::uint64_t around_kib = 24 * kib;

// What a sanitizer keeps beside each byte says nothing of the server.
#if defined(__has_feature)
constexpr bool memory_is_its_own = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool memory_is_its_own = true;
#endif

struct besieged {
  besieged() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    server_options options;
    options.set = {"limits.requests_per_minute_per_address=0", "limits.signups_per_minute_per_address=0",
                   "limits.messages_per_minute_per_user=0", "limits.connections_per_user=0"};
    h = std::make_unique<house>(MARU_BINARY, test::answers(2, 0), options);
    ada = h->person("ada");
    room = h->room(ada);
    before = h->server.rss_kib();
  }

  // Somebody who does nothing wrong is served, and no more memory is used than the attack may take.
  void holds(std::uint64_t attack_kib) {
    const auto sent =
        h->post(ada, "/api/v1/rooms/" + room + "/messages",
                {{"id", uuid::v7(0).str()}, {"text", "still there?"}, {"agents", json::array()}});
    CHECK(sent.status == 202);
    const auto now = h->server.rss_kib();
    INFO("before " << before << " KiB, now " << now << " KiB, allowed " << before + around_kib + attack_kib);
    if (memory_is_its_own) CHECK(now < before + around_kib + attack_kib);
  }

  std::unique_ptr<house> h;
  account ada;
  std::string room;
  std::uint64_t before = 0;
};

// Sends as long as the peer takes it.
std::size_t pour(tcp_link& to, std::string_view what, std::size_t most) {
  std::size_t sent = 0;
  while (sent < most) {
    const auto size = ::send(to.fd(), what.data(), what.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size <= 0) break;
    sent += static_cast<std::size_t>(size);
  }
  return sent;
}

} // namespace

TEST_CASE("thousands of connections that say nothing cost little, and nobody else is kept out") {
  besieged s;
  std::vector<tcp_link> silent;
  for (int i = 0; i < 3000; ++i)
    silent.emplace_back(s.h->address());
  s.holds(3000 * connection_kib);
  // And those that never come to the end of a header, or of a body.
  for (std::size_t i = 0; i < silent.size(); ++i)
    silent[i].send(i % 2 == 0 ? "GET /healthz HTTP/1.1\r\nX-Slow: " + std::string(1000, 'x')
                              : "POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{");
  s.holds(3000 * connection_kib);
}

TEST_CASE("bodies that never end hold what all may send together, and no more") {
  besieged s;
  constexpr std::uint64_t many = 200;
  std::vector<tcp_link> open;
  const std::string most(limits::http_body_bytes - 1, ' ');
  for (std::uint64_t i = 0; i < many; ++i) {
    open.emplace_back(s.h->address());
    open.back().send("POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                     std::to_string(limits::http_body_bytes) + "\r\n\r\n");
    open.back().send(most);
  }
  s.holds(many * connection_kib + limits::http_bodies_bytes / kib);
}

TEST_CASE("bodies in chunks that never end are refused at their bound, and let go") {
  besieged s;
  constexpr std::uint64_t many = 200;
  std::vector<tcp_link> open;
  const std::string chunk = "10000\r\n" + std::string(65'536, ' ') + "\r\n";
  for (std::uint64_t i = 0; i < many; ++i) {
    open.emplace_back(s.h->address());
    open.back().send("POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (std::size_t sent = 0; sent <= limits::http_body_bytes; sent += 65'536)
      open.back().send(chunk);
    std::string reply;
    open.back().receive(reply);
    CHECK(reply.starts_with("HTTP/1.1 413"));
  }
  s.holds(many * connection_kib);
}

TEST_CASE("big replies that nobody reads wait up to a bound, and what they took is given back") {
  besieged s;
  const std::string text(limits::message_text_bytes - 12'000, 'z');
  for (int i = 0; i < 8; ++i)
    s.h->post(s.ada, "/api/v1/rooms/" + s.room + "/messages",
              {{"id", uuid::v7(0).str()}, {"text", text}, {"agents", json::array()}});
  {
    std::vector<tcp_link> open;
    const auto page = http_text("GET", "/api/v1/rooms/" + s.room + "/events?after=0&limit=500",
                                {bearer(s.ada.access_token)});
    for (int i = 0; i < 250; ++i) {
      open.emplace_back(s.h->address());
      const int few = 4096;
      ::setsockopt(open.back().fd(), SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
      open.back().send(page);
    }
    s.h->get(s.ada, "/api/v1/rooms"); // behind them
    s.holds(250 * connection_kib + limits::http_replies_bytes / kib);
  }
  s.h->get(s.ada, "/api/v1/rooms");
  s.holds(250 * connection_kib);
}

TEST_CASE("requests by the thousand on one connection whose replies nobody reads wait in its socket") {
  besieged s;
  std::vector<tcp_link> open;
  const std::string one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string many;
  for (int i = 0; i < 1000; ++i)
    many += one;
  for (int i = 0; i < 50; ++i) {
    open.emplace_back(s.h->address());
    pour(open.back(), many, 64 * many.size());
  }
  s.holds(50 * (connection_kib + limits::http_header_bytes / kib));
}

TEST_CASE("commands without end on sockets that read nothing stop at the credit window") {
  besieged s;
  constexpr std::uint64_t many = 8;
  std::vector<std::unique_ptr<ws_client>> open;
  const std::string text(16 * kib, 'x');
  for (std::uint64_t i = 0; i < many; ++i) {
    open.push_back(std::make_unique<ws_client>(s.h->address(), "/ws", headers{bearer(s.ada.access_token)}));
    open.back()->send(R"({"type":"hello"})");
    open.back()->receive();
    std::string frames;
    for (int n = 0; n < 64; ++n)
      frames += ws_client::wire(0x1, R"({"type":"send","agents":[],"id":")" + uuid::v7(0).str() +
                                         R"(","room":")" + s.room + R"(","text":")" + text + R"("})");
    for (int round = 0; round < 4; ++round)
      pour(open.back()->link(), frames, frames.size());
  }
  s.holds(many * (connection_kib + (limits::command_bytes_under_way + limits::outbox_bytes) / kib));
}

TEST_CASE("readers of a long history who do not read are given up at the bound of an outbox") {
  besieged s;
  const std::string text(limits::message_text_bytes / 2, 'y');
  for (int i = 0; i < 120; ++i)
    s.h->post(s.ada, "/api/v1/rooms/" + s.room + "/messages",
              {{"id", uuid::v7(0).str()}, {"text", text}, {"agents", json::array()}});
  s.before = s.h->server.rss_kib();
  constexpr std::uint64_t many = 12;
  std::vector<std::unique_ptr<ws_client>> open;
  for (std::uint64_t i = 0; i < many; ++i) {
    open.push_back(std::make_unique<ws_client>(s.h->address(), "/ws", headers{bearer(s.ada.access_token)}));
    open.back()->send(R"({"type":"hello"})");
    open.back()->send(R"({"type":"open","after":0,"room":")" + s.room + R"("})");
    open.back()->receive(); // the welcome: the rest is on its way
  }
  for (int i = 0; i < 100; ++i)
    s.h->post(s.ada, "/api/v1/rooms/" + s.room + "/messages",
              {{"id", uuid::v7(0).str()}, {"text", text}, {"agents", json::array()}});
  // A page that is being read, and live frames that wait for the end of the replay.
  const auto each = limits::outbox_bytes + limits::replay_page_bytes + limits::watch_buffer_bytes;
  s.holds(many * (connection_kib + each / kib));
}

TEST_CASE("frames that nobody knows, and JSON that nests without end, leave nothing behind") {
  besieged s;
  ws_client one(s.h->address(), "/ws", {bearer(s.ada.access_token)});
  one.send(R"({"type":"hello"})");
  one.receive();
  const std::string deep(limits::frame_in_bytes / 2, '[');
  for (int i = 0; i < 40; ++i) {
    one.send(deep);
    CHECK(json::parse(one.receive().value_or("{}"))["code"] == "invalid_json");
    one.send(R"({"type":")" + std::string(limits::frame_in_bytes / 2, 'z') + R"("})");
    CHECK(json::parse(one.receive().value_or("{}"))["type"] == "error");
  }
  s.holds(connection_kib + 4 * limits::frame_in_bytes / kib);
}

TEST_CASE(
    "questions without end wait in number, not in memory, and opens of rooms that are not there leave none") {
  besieged s;
  ws_client one(s.h->address(), "/ws", {bearer(s.ada.access_token)});
  one.send(R"({"type":"hello"})");
  one.receive();
  std::size_t refused = 0;
  for (int i = 0; i < 3000; ++i) {
    one.send(R"({"type":"open","room":")" + uuid::v7(i).str() + R"("})");
    const auto said = json::parse(one.receive().value_or("{}"));
    refused += said["code"] == "not_found" ? 1 : 0;
  }
  CHECK(refused == 3000);
  s.holds(connection_kib + 3000 * connection_kib);
}

} // namespace maru::tests
