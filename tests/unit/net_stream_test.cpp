// A room's frames as server-sent events, with the actors' side played by the test.

#include <future>
#include <thread>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "net/outbox.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/event_reader.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using nlohmann::json;
namespace api = actors::api;

namespace {

const std::string the_room = some_id;

actors::event_fact event_of(std::uint64_t seq, const std::string& data = "{}") {
  actors::event_fact out;
  out.seq = seq;
  out.id = id_of(other_id);
  out.kind = "message";
  out.author_kind = "user";
  out.author_name = "ada";
  out.data = data;
  return out;
}

struct stream_rig : net_rig {
  actors::frame_ptr opened(std::uint64_t head = 3) const {
    return codec->opened({id_of(some_id), head, head + 1, 1, {}});
  }
  actors::frame_ptr event(std::uint64_t seq, const std::string& data = "{}") const {
    return codec->event(id_of(some_id), event_of(seq, data));
  }
  std::future<std::unique_ptr<event_reader>> asking(const std::string& query = "", const headers& more = {},
                                                    std::string_view version = "HTTP/1.1") {
    auto with = more;
    with.push_back(bearer("good"));
    return std::async(std::launch::async, [this, query, with, version] {
      return std::make_unique<event_reader>(address, stream_path(the_room, query), with, version);
    });
  }
  // A stream that is open, and its connection as actors have it.
  std::unique_ptr<event_reader> open(std::string_view version = "HTTP/1.1") {
    auto reader = asking("", {}, version);
    connection = front.wait_hello();
    connection->push(codec->welcome({}));
    connection->answer(opened(), 0);
    return reader.get();
  }
  actors::open_in asked() {
    REQUIRE(front.session->wait_taken(1));
    return std::get<actors::open_in>(front.session->all().front().in);
  }

  actors::connection_ptr connection;
};

std::uint16_t port_of(int (*which)(int, sockaddr*, socklen_t*), int fd) {
  sockaddr_in at{};
  socklen_t size = sizeof at;
  if (which(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0 || at.sin_family != AF_INET) return 0;
  return at.sin_port;
}

// The server's end of a client's connection; both are in this process.
int other_end(int client) {
  constexpr int most = 1024;
  const auto port = port_of(::getsockname, client);
  for (int fd = 0; fd < most; ++fd)
    if (port_of(::getpeername, fd) == port) return fd;
  return -1;
}

} // namespace

TEST_CASE("a stream says hello for its caller, opens its room and begins with opened", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  REQUIRE(reader->open());
  CHECK(rig.front.who().username == "ada");
  CHECK_FALSE(rig.front.said().session);
  CHECK(rig.asked().room == id_of(some_id));
  CHECK_FALSE(rig.asked().after);
  CHECK(reader->reply().field("content-type") == "text/event-stream");
  CHECK(reader->reply().field("cache-control") == "no-store");
  CHECK(reader->reply().field("x-accel-buffering") == "no");
  CHECK(reader->reply().has("x-request-id"));
  CHECK_FALSE(reader->reply().has("content-length"));
  const auto first = reader->next(); // the welcome of a socket is not told
  REQUIRE(first);
  CHECK(first->id.empty());
  CHECK(first->data == rig.opened()->bytes);
  CHECK(std::stoul(reader->retry()) < limits::stream_retry_ms);
}

TEST_CASE("each frame is the JSON of the socket's, and durable events alone have an id", "[net][stream]") {
  const auto version = GENERATE(as<std::string>{}, "HTTP/1.1", "HTTP/1.0");
  stream_rig rig;
  rig.start();
  const auto reader = rig.open(version);
  CHECK(reader->reply().has("transfer-encoding") == (version == "HTTP/1.1"));
  std::vector<actors::frame_ptr> sent;
  for (std::uint64_t seq = 1; seq <= 300; ++seq) // more than one write
    sent.push_back(rig.event(seq, json{{"text", std::string(seq * 40, 'x') + "\n\r\n: no comment"}}.dump()));
  sent.push_back(rig.codec->answer(id_of(some_id), {}));
  sent.push_back(rig.codec->delta(id_of(some_id), {id_of(other_id), 1, 1, 1, "a\nb"}));
  sent.push_back(rig.event(std::numeric_limits<std::uint64_t>::max()));
  REQUIRE(reader->next());
  for (const auto& frame : sent)
    rig.connection->push(frame);
  for (const auto& frame : sent) {
    const auto got = reader->next();
    REQUIRE(got);
    CHECK(got->data == frame->bytes);
    CHECK(got->id == (frame->seq > 0 ? std::to_string(frame->seq) : ""));
  }
  rig.connection->close(close_code::draining);
  CHECK(reader->wait_end());
  CHECK(reader->ended_in_order() == (version == "HTTP/1.1"));
}

TEST_CASE("a stream begins where Last-Event-ID says, else after says", "[net][stream]") {
  struct given {
    std::string query, last;
    std::optional<std::uint64_t> after;
  };
  const auto one = GENERATE(values<given>({{"", "", {}},
                                           {"after=0", "", 0},
                                           {"after=7", "", 7},
                                           {"after=7", "9", 9},
                                           {"", "18446744073709551615", UINT64_MAX}}));
  CAPTURE(one.query, one.last);
  stream_rig rig;
  rig.start();
  auto reader = rig.asking(one.query, one.last.empty() ? headers{} : headers{{"Last-Event-ID", one.last}});
  rig.connection = rig.front.wait_hello();
  CHECK(rig.asked().after == one.after);
  rig.connection->answer(rig.opened(), 0);
  CHECK(reader.get()->open());
}

TEST_CASE("a place that is no number is refused, and nothing is opened", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto check = [&](const std::string& query, const headers& more) {
    CAPTURE(query);
    const auto got = rig.asking(query, more).get();
    CHECK(got->reply().status == 400);
    CHECK(json::parse(got->reply().body)["code"] == "invalid_field");
  };
  for (const auto* bad : {"after=", "after=-1", "after=1x", "after=18446744073709551616", "after=%201"})
    check(bad, {});
  for (const auto* bad : {"x", "-1", "1 2", "18446744073709551616", "1.5", "0x1"}) {
    check("", {{"Last-Event-ID", bad}});
    check("after=1", {{"Last-Event-ID", bad}});
  }
  check("after=x", {{"Last-Event-ID", "1"}});
  CHECK(rig.front.session->all().empty());
}

TEST_CASE("what refuses a stream is an ordinary reply, and its connection goes on", "[net][stream]") {
  struct given {
    code why;
    int status;
  };
  const auto one = GENERATE(
      values<given>({{code::not_found, 404}, {code::overloaded, 503}, {code::storage_unavailable, 503}}));
  stream_rig rig;
  rig.start();
  http_client client{rig.address};
  client.send(http_text("GET", stream_path(the_room), {bearer("good")}));
  rig.connection = rig.front.wait_hello();
  rig.connection->push(rig.codec->welcome({}));
  rig.connection->answer(rig.codec->error("", {one.why, "room x: no", 0}), 0);
  const auto got = client.reply();
  CHECK(got.status == one.status);
  CHECK(got.field("content-type") == "application/problem+json");
  CHECK(json::parse(got.body)["code"] == std::string{word(one.why)});
  CHECK(rig.front.session->wait_gone());
  CHECK(client.request("GET", "/healthz").status == 200);
}

TEST_CASE("a stream that is closed before it opened is a reply that says why", "[net][stream]") {
  struct given {
    close_code why;
    int status;
  };
  const auto one = GENERATE(values<given>({{close_code::too_many_connections, 429},
                                           {close_code::token_refused, 401},
                                           {close_code::forbidden, 403},
                                           {close_code::overloaded, 503}}));
  stream_rig rig;
  rig.front.attach_at_once = false;
  rig.start();
  auto reader = rig.asking();
  rig.front.wait_hello()->close(one.why);
  const auto got = reader.get();
  CHECK(got->reply().status == one.status);
  CHECK(got->reply().has("retry-after") == (one.status == 429 || one.status == 503));
}

TEST_CASE("a stream without a good token is 401 and counts like every other request", "[net][stream]") {
  stream_rig rig;
  rig.settings.limits.requests_per_minute_per_address = 3;
  rig.start();
  CHECK(rig.get(stream_path(the_room)).status == 401);
  CHECK(rig.get(stream_path(the_room), {bearer("bad")}).status == 401);
  CHECK(rig.get(stream_path(the_room), {bearer("bad")}).status == 401);
  CHECK(rig.get(stream_path(the_room), {bearer("bad")}).status == 429);
}

TEST_CASE("no answer from inside is a 503, and a session that comes too late is told", "[net][stream]") {
  stream_rig rig;
  rig.front.attach_at_once = false;
  rig.start();
  auto reader = rig.asking();
  const auto late = rig.front.wait_hello();
  while (reader.wait_for(std::chrono::milliseconds{5}) != std::future_status::ready)
    rig.time.move(limits::http_reply_timeout_ms + 1);
  CHECK(reader.get()->reply().status == 503);
  late->attach(rig.front.session);
  CHECK(rig.front.session->wait_gone());
  late->answer(rig.opened(), 0);
  late->push(rig.event(4));
  CHECK(rig.get("/healthz").status == 200);
}

TEST_CASE("a HEAD tells what a stream would be and opens none", "[net][stream]") {
  stream_rig rig;
  rig.front.on_call = [](const std::string&, const api::request& what) -> api::reply {
    if (std::get<api::get_room>(what).room == id_of(some_id)) return api::room_view{};
    return refusal{code::not_found, "", 0};
  };
  rig.start();
  http_client client{rig.address};
  const auto got = client.request("HEAD", stream_path(the_room), {bearer("good")});
  CHECK(got.status == 200);
  CHECK(got.field("content-type") == "text/event-stream");
  CHECK_FALSE(got.has("content-length"));
  CHECK(client.request("HEAD", stream_path(other_id), {bearer("good")}).status == 404);
  CHECK(client.request("GET", "/healthz").status == 200);
}

TEST_CASE("a quiet stream has a comment every 15 seconds", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  REQUIRE(reader->next());
  for (int i = 0; i < 3; ++i) {
    rig.time.move(limits::stream_comment_ms);
    CHECK(reader->wait_comment());
  }
  rig.connection->push(rig.event(4));
  CHECK(reader->next()->id == "4");
}

TEST_CASE("a stream that its client leaves tells its session", "[net][stream]") {
  stream_rig rig;
  rig.start();
  auto reader = rig.open();
  REQUIRE(reader->next());
  const bool resets = GENERATE(false, true);
  if (resets) reader->link().cut();
  reader.reset();
  CHECK(rig.front.session->wait_gone());
  rig.connection->push(rig.event(4)); // into nothing
  rig.connection->close(close_code::normal);
}

TEST_CASE("the kernel gives up a stream's peer that vanished without a word", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  REQUIRE(reader->next());
  unsigned most = 0;
  socklen_t size = sizeof most;
  REQUIRE(::getsockopt(other_end(reader->link().fd()), IPPROTO_TCP, TCP_USER_TIMEOUT, &most, &size) == 0);
  CHECK(most == limits::write_timeout_ms);
}

TEST_CASE("what a client says on an open stream is not heard", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  REQUIRE(reader->next());
  reader->link().send(std::string(100'000, 'x') + http_text("GET", "/healthz"));
  rig.connection->push(rig.event(4));
  CHECK(reader->next()->id == "4");
}

TEST_CASE("a stream's slow reader is ended in order between two events, and its session told",
          "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  const auto big = rig.event(4, json{{"text", std::string(1'000'000, 'x')}}.dump());
  for (int i = 0; i < 40; ++i)
    rig.connection->push(big);
  std::size_t whole = 0;
  while (const auto got = reader->next())
    whole += got->data == big->bytes ? 1 : 0;
  CHECK(whole < 40);
  CHECK(reader->ended_in_order());
  CHECK(reader->last_comment() == "end 4508");
  CHECK(rig.front.session->wait_gone());
}

TEST_CASE("a stream's reader that stopped for good is cut", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  for (int i = 0; i < 7; ++i)
    rig.connection->push(rig.event(4, json{{"text", std::string(1'100'000, 'x')}}.dump()));
  while (rig.front.session->gone_count() == 0) {
    rig.time.move(limits::write_timeout_ms + 1);
    std::this_thread::yield();
  }
  CHECK(rig.server->connections() == 0);
}

TEST_CASE("a stream whose room cannot be read any more tells that and ends", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  REQUIRE(reader->next());
  rig.connection->push(rig.codec->error("", {code::not_found, "room x", 0}));
  const auto last = reader->next();
  REQUIRE(last);
  CHECK(last->json()["code"] == "not_found");
  CHECK(reader->wait_end());
  CHECK(reader->ended_in_order());
}

TEST_CASE("draining ends every stream in order", "[net][stream]") {
  stream_rig rig;
  rig.start();
  auto reader = rig.open();
  REQUIRE(reader->next());
  std::promise<void> done;
  rig.server->drain([&] { done.set_value(); });
  CHECK(reader->wait_end());
  CHECK(reader->ended_in_order());
  CHECK(reader->last_comment() == "end 1001");
  reader.reset();
  CHECK(done.get_future().wait_for(patience) == std::future_status::ready);
  CHECK(rig.server->connections() == 0);
  CHECK(rig.front.session->wait_gone());
}

TEST_CASE("a session is told when a stream has little left to write", "[net][stream]") {
  stream_rig rig;
  rig.start();
  const auto reader = rig.open();
  REQUIRE(reader->next());
  for (int i = 0; i < 3; ++i)
    rig.connection->push(rig.event(4, json{{"text", std::string(1'000'000, 'x')}}.dump()));
  rig.connection->tell_when_drained();
  for (int i = 0; i < 3; ++i)
    REQUIRE(reader->next());
  CHECK(rig.front.session->wait_drained());
}

TEST_CASE("streams end whole however little is written at a time", "[net][outbox][stream]") {
  const auto codec = net::make_codec({}, "1", "n");
  const auto how = GENERATE(net::framing::events, net::framing::chunked_events);
  const auto step = GENERATE(1, 7, 100'000);
  net::outbox box{*codec, how};
  std::string expected;
  for (const std::uint64_t seq : {1, 22, 333}) {
    const auto frame = codec->event(id_of(some_id), event_of(seq));
    expected += net::as_chunk("id: " + std::to_string(seq) + "\ndata: " + frame->bytes + "\n\n", how);
    box.push(frame);
  }
  expected += net::as_chunk(": end 1000\n\n", how);
  if (how == net::framing::chunked_events) expected += "0\r\n\r\n";
  box.finish(close_code::normal);
  std::string got;
  while (!box.finished()) {
    net::outbox::gathered next;
    box.gather(next);
    std::string bytes;
    for (std::size_t i = 0; i < next.count; ++i)
      bytes.append(static_cast<const char*>(next.parts[i].iov_base), next.parts[i].iov_len);
    bytes.resize(std::min(bytes.size(), static_cast<std::size_t>(step)));
    got += bytes;
    box.wrote(bytes.size());
  }
  CHECK(got == expected);
  CHECK(box.bytes() == 0);
}
