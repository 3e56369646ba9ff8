#include <future>
#include <thread>

#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using nlohmann::json;
namespace api = maru::actors::api;

namespace {

json next(ws_client& from) {
  const auto got = from.receive();
  if (!got) throw std::runtime_error("no frame came");
  return json::parse(*got);
}

std::string send_text(const std::string& text) {
  return json{{"type", "send"}, {"id", other_id}, {"room", some_id}, {"text", text}}.dump();
}

std::uint16_t number(close_code code) { return static_cast<std::uint16_t>(code); }

} // namespace

TEST_CASE("an upgrade with a good token is let in, and says who it is", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  REQUIRE(client.open());
  CHECK(client.upgrade().field("sec-websocket-protocol") == "maru.v1");
  CHECK(client.upgrade().has("x-request-id"));
  CHECK_FALSE(client.upgrade().has("sec-websocket-extensions"));
  client.send(R"({"type":"hello","session":")" + std::string{other_id} + R"(","client":"c"})");
  const auto connection = rig.front.wait_hello();
  CHECK(rig.front.who().username == "ada");
  CHECK(rig.front.said().session == id_of(other_id));
  CHECK(rig.front.said().client == "c");
  connection->push(rig.codec->welcome({id_of(some_id), id_of(other_id), "ada", "Ada"}));
  CHECK(next(client)["type"] == "welcome");
}

TEST_CASE("a refused token upgrades and closes with 4401", "[net][ws]") {
  net_rig rig;
  rig.start();
  for (const auto& with : {headers{}, headers{bearer("bad")}, headers{{"Authorization", "Basic x"}}}) {
    ws_client client{rig.address, "/ws", with};
    CHECK(client.upgrade().status == 101);
    CHECK(client.wait_closed() == number(close_code::token_refused));
  }
  CHECK(ws_client{rig.address, "/ws?ticket=made-up"}.wait_closed() == number(close_code::token_refused));
  CHECK(ws_client{rig.address, "/ws?access_token=good"}.wait_closed() == number(close_code::token_refused));
}

TEST_CASE("what is said behind an upgrade that is refused reaches nobody", "[net][ws]") {
  net_rig rig;
  rig.start();
  const auto close_of = [&](const std::string& more) {
    tcp_link link(rig.address);
    link.send("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
              more + "\r\n" + ws_client::wire(0x1, R"({"type":"hello"})") +
              ws_client::wire(0x1, R"({"type":"ping","t":1})"));
    std::string got;
    const auto frames = [&] {
      const auto end = got.find("\r\n\r\n");
      return end == std::string::npos ? "" : got.substr(end + 4);
    };
    while (frames().size() < 4 && link.receive(got) > 0) {
    }
    const auto close = frames();
    REQUIRE(close.size() >= 4);
    CHECK(close[0] == '\x88');
    return static_cast<unsigned char>(close[2]) * 256 + static_cast<unsigned char>(close[3]);
  };
  CHECK(close_of("Sec-WebSocket-Protocol: maru.v1\r\n") == number(close_code::token_refused));
  CHECK(close_of("Authorization: Bearer good\r\nSec-WebSocket-Protocol: other\r\n") ==
        number(close_code::bad_protocol));
  CHECK(rig.get("/healthz").status == 200);
  CHECK(rig.front.hellos == 0);
}

TEST_CASE("a wrong or absent subprotocol closes with 4400, the first offered echoed", "[net][ws]") {
  net_rig rig;
  rig.start();
  ws_client wrong{rig.address, "/ws", {bearer("good")}, "other.v9, more"};
  CHECK(wrong.upgrade().field("sec-websocket-protocol") == "other.v9");
  CHECK(wrong.wait_closed() == number(close_code::bad_protocol));
  ws_client none{rig.address, "/ws", {bearer("good")}, ""};
  CHECK_FALSE(none.upgrade().has("sec-websocket-protocol"));
  CHECK(none.wait_closed() == number(close_code::bad_protocol));
  ws_client among{rig.address, "/ws", {bearer("good")}, "other, maru.v1"};
  CHECK(among.upgrade().field("sec-websocket-protocol") == "maru.v1");
}

TEST_CASE("a ticket works once and for a minute", "[net][ws]") {
  net_rig rig;
  rig.start();
  CHECK(rig.post("/api/v1/negotiate", "").status == 401);
  const auto give = [&] {
    const auto got = rig.post("/api/v1/negotiate", "{}", {bearer("good"), {"Host", "chat.local:81"}});
    CHECK(got.status == 200);
    return json::parse(got.body);
  };
  const auto first = give();
  const auto ticket = first["token"].get<std::string>();
  CHECK(first["url"] == "ws://chat.local:81/ws?ticket=" + ticket);
  CHECK(first["expires_at"].get<std::string>().size() == 24);
  ws_client once{rig.address, "/ws?ticket=" + ticket};
  rig.greet(once);
  CHECK(rig.front.who().username == "ada");
  CHECK(ws_client{rig.address, "/ws?ticket=" + ticket}.wait_closed() == number(close_code::token_refused));
  const auto stale = give()["token"].get<std::string>();
  rig.time.move(limits::ticket_ms);
  CHECK(ws_client{rig.address, "/ws?ticket=" + stale}.wait_closed() == number(close_code::token_refused));
}

TEST_CASE("negotiate names the public address where there is one", "[net][ws]") {
  net_rig rig;
  rig.settings.server.public_url = "https://chat.example/";
  rig.start();
  const auto got = json::parse(rig.post("/api/v1/negotiate", "", {bearer("good")}).body);
  CHECK(got["url"].get<std::string>().find("wss://chat.example/ws?ticket=") == 0);
}

TEST_CASE("hello comes first, once, and a refused frame does not end the connection", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto refused = [&](const std::string& frame, const std::string& code) {
    CAPTURE(frame);
    client.send(frame);
    const auto got = next(client);
    CHECK(got["type"] == "error");
    CHECK(got["code"] == code);
    return got;
  };
  CHECK(refused(send_text("x"), "bad_order")["id"] == other_id);
  refused(R"({"type":"ping"})", "bad_order");
  refused("nonsense", "invalid_json");
  refused(R"({"type":"hello","session":1})", "invalid_field");
  const auto connection = rig.greet(client);
  refused(R"({"type":"hello"})", "bad_order");
  CHECK(refused(R"({"type":"dance","id":"d"})", "unknown_type")["id"] == "d");
  refused("[1,2]", "invalid_json");
  refused("", "invalid_json");
  client.send(R"({"type":"ping","t":[1,"x"]})");
  CHECK(next(client) == json{{"type", "pong"}, {"t", {1, "x"}}});
  CHECK(rig.front.session->all().empty());
}

TEST_CASE("frames go to the session in order, whole or in fragments", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  rig.greet(client);
  const std::string euro = "\xe2\x82\xac";
  const auto text = json{{"type", "send"}, {"id", other_id}, {"room", some_id}, {"text", euro}}.dump();
  const auto cut = text.find(euro) + 1; // within a character
  client.send_frame(0x1, text.substr(0, cut), false);
  client.send_frame(0x9, "in between");
  client.send_frame(0x0, "", false);
  client.send_frame(0x0, text.substr(cut), true);
  client.send(R"({"type":"open","room":")" + std::string{some_id} + R"(","after":7})");
  const std::string large(limits::message_text_bytes, 'x');
  client.send(send_text(large));
  REQUIRE(rig.front.session->wait_taken(3));
  const auto got = rig.front.session->all();
  CHECK(std::get<actors::send_in>(got[0].in).text == euro);
  CHECK(got[0].bytes == text.size());
  CHECK(std::get<actors::open_in>(got[1].in).after == 7);
  CHECK(std::get<actors::send_in>(got[2].in).text == large);
  client.send(R"({"type":"ping"})");
  CHECK(next(client)["type"] == "pong");
  CHECK(client.pongs() == 1);
}

TEST_CASE("what is no text of at most frame_in_bytes closes with its code", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  rig.greet(client);
  std::uint16_t expected = 0;
  SECTION("binary") {
    client.send_frame(0x2, "{}");
    expected = 4400;
  }
  SECTION("not UTF-8") {
    client.send("{\"type\":\"ping\",\"t\":\"\xff\"}");
    expected = 1007;
  }
  SECTION("a surrogate as bytes") {
    client.send("{\"type\":\"ping\",\"t\":\"\xed\xa0\x80\"}");
    expected = 1007;
  }
  SECTION("too large") {
    client.send(std::string(limits::frame_in_bytes + 1, ' '));
    expected = 1009;
  }
  SECTION("too large in fragments") {
    const std::string half(limits::frame_in_bytes / 2 + 1, ' ');
    client.send_frame(0x1, half, false);
    client.send_frame(0x0, half, true);
    expected = 1009;
  }
  SECTION("an unknown opcode") {
    client.send_frame(0x3, "x");
    expected = 1002;
  }
  SECTION("no mask") {
    client.send_bytes(ws_client::wire(0x1, "{}", true, false));
    expected = 1002;
  }
  CHECK(client.wait_closed() == expected);
  CHECK(rig.front.session->wait_gone());
  CHECK(rig.front.session->gone_count() == 1);
}

TEST_CASE("a frame of exactly frame_in_bytes is taken", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  rig.greet(client);
  std::string text = R"({"type":"ping","t":1})";
  text.resize(limits::frame_in_bytes, ' ');
  client.send(text);
  CHECK(next(client)["t"] == 1);
}

TEST_CASE("the peer's close is answered and the session told", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  SECTION("a closing handshake") {
    client.close(1000);
    CHECK(client.wait_closed() == 1000);
  }
  SECTION("a cut") { client.link().cut(); }
  SECTION("an end of stream") {
    client.link().shut_sending();
    CHECK(client.wait_closed() == 1006);
  }
  CHECK(rig.front.session->wait_gone());
  connection->push(text_frame("{}"));
  connection->answer(text_frame("{}"), 1);
  connection->tell_when_drained();
  connection->close(close_code::normal);
  const auto late = std::make_shared<fake_session>();
  connection->attach(late);
  CHECK(late->wait_gone());
  CHECK(rig.front.session->gone_count() == 1);
}

TEST_CASE("a close from inside comes after what was pushed before it", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  for (int i = 0; i < 1000; ++i)
    connection->push(text_frame(std::to_string(i)));
  connection->close(close_code::taken_over);
  connection->push(text_frame("late"));
  for (int i = 0; i < 1000; ++i)
    REQUIRE(client.receive() == std::to_string(i));
  CHECK(client.wait_closed() == number(close_code::taken_over));
  CHECK(rig.front.session->wait_gone());
}

TEST_CASE("frames are held back until a session is there", "[net][ws]") {
  net_rig rig;
  rig.front.attach_at_once = false;
  rig.start();
  auto client = rig.socket();
  client.send(R"({"type":"hello"})");
  client.send(send_text("a"));
  client.send(send_text("b"));
  const auto connection = rig.front.wait_hello();
  connection->push(text_frame("{}"));
  CHECK(client.receive() == "{}");
  CHECK(rig.front.session->all().empty());
  connection->attach(rig.front.session);
  REQUIRE(rig.front.session->wait_taken(2));
  CHECK(std::get<actors::send_in>(rig.front.session->all()[1].in).text == "b");
  const auto other = std::make_shared<fake_session>();
  connection->attach(other);
  connection->push(text_frame("{}"));
  CHECK(client.receive() == "{}");
  client.send(send_text("c"));
  CHECK(other->wait_taken(1));
}

TEST_CASE("no session in time closes with 4503, no hello with 4408", "[net][ws]") {
  net_rig rig;
  rig.front.attach_at_once = false;
  rig.start();
  auto silent = rig.socket();
  REQUIRE(silent.open());
  auto waiting = rig.socket();
  rig.greet(waiting);
  rig.time.move(std::max(limits::hello_timeout_ms, limits::attach_timeout_ms) + 1);
  CHECK(silent.wait_closed() == number(close_code::no_hello));
  CHECK(waiting.wait_closed() == number(close_code::overloaded));
}

TEST_CASE("a used-up credit window stops the reading until an answer comes", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  const auto window = limits::commands_under_way;
  for (std::size_t i = 0; i < window + 3; ++i)
    client.send(send_text("x"));
  client.send(R"({"type":"ping"})");
  REQUIRE(rig.front.session->wait_taken(window));
  connection->push(text_frame("{}")); // had the ping been read, its pong would be here first
  CHECK(client.receive() == "{}");
  CHECK(rig.front.session->all().size() == window);
  const auto bytes = rig.front.session->all().front().bytes;
  connection->answer(nullptr, bytes);
  REQUIRE(rig.front.session->wait_taken(window + 1));
  connection->answer(text_frame("ack"), bytes);
  CHECK(client.receive() == "ack");
  connection->answer(text_frame("ack"), bytes);
  connection->answer(text_frame("ack"), bytes);
  REQUIRE(rig.front.session->wait_taken(window + 3));
  CHECK(client.receive() == "ack");
  CHECK(client.receive() == "ack");
  CHECK(next(client)["type"] == "pong");
}

TEST_CASE("large commands use up the bytes of the credit window", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  const auto frame = send_text(std::string(limits::message_text_bytes, 'x'));
  const auto fit = limits::command_bytes_under_way / frame.size() + 1;
  auto sender = std::async(std::launch::async, [&] {
    for (std::size_t i = 0; i < fit + 8; ++i)
      client.link().send(ws_client::wire(0x1, frame));
  });
  REQUIRE(rig.front.session->wait_taken(fit));
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(rig.front.session->all().size() == fit + i);
    connection->answer(nullptr, frame.size());
    REQUIRE(rig.front.session->wait_taken(fit + i + 1));
  }
  sender.get();
}

TEST_CASE("a slow reader is closed with 4508, and its session told", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  const auto big = text_frame(std::string(1'000'000, 'x'));
  for (int i = 0; i < 40; ++i)
    connection->push(big); // more than the outbox and the kernel hold
  std::size_t whole = 0;
  while (const auto got = client.receive()) {
    CHECK(got->size() == big->bytes.size());
    ++whole;
  }
  CHECK(whole < 40);
  CHECK(client.wait_closed() == number(close_code::slow_reader));
  CHECK(rig.front.session->wait_gone());
}

TEST_CASE("a reader that stopped for good is cut", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  for (int i = 0; i < 7; ++i)
    connection->push(text_frame(std::string(1'100'000, 'x')));
  connection->tell_when_drained();
  while (rig.front.session->gone_count() == 0) {
    rig.time.move(limits::write_timeout_ms + 1);
    std::this_thread::yield();
  }
  CHECK(rig.front.session->wait_gone());
}

TEST_CASE("who asked is told when the outbox is low", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  connection->tell_when_drained();
  CHECK(rig.front.session->wait_drained());
}

TEST_CASE("a silent peer is pinged, and let go after two that it misses", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  rig.greet(client);
  const auto ping_again = [&](std::size_t count) {
    rig.time.move(limits::heartbeat_ms);
    while (client.pings() < count)
      client.receive(std::chrono::milliseconds{10});
  };
  for (std::size_t i = 1; i <= 4; ++i) {
    ping_again(i); // answered
    client.send(R"({"type":"ping"})");
    while (!client.receive(std::chrono::milliseconds{10})) {
    }
  }
  client.answer_pings(false);
  ping_again(5);
  ping_again(6);
  rig.time.move(limits::heartbeat_ms);
  CHECK(client.wait_closed() == 1006);
  CHECK(rig.front.session->wait_gone());
}

TEST_CASE("draining closes every socket with 1001", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  rig.greet(client);
  auto silent = rig.socket();
  std::promise<void> done;
  rig.server->drain([&] { done.set_value(); });
  CHECK(client.wait_closed() == number(close_code::draining));
  CHECK(silent.wait_closed() == number(close_code::draining));
  client.link().cut();
  silent.link().cut();
  CHECK(done.get_future().wait_for(patience) == std::future_status::ready);
  CHECK(rig.server->connections() == 0);
}

TEST_CASE("an upgrade that is under way when draining begins is let in and closed with 1001", "[net][ws]") {
  net_rig rig;
  std::promise<void> asked, go_on;
  rig.front.on_call = [&, first = std::make_shared<std::atomic<bool>>(true)](
                          const std::string&, const api::request&) -> api::reply {
    if (first->exchange(false)) {
      asked.set_value();
      go_on.get_future().wait();
    }
    return actors::identity{id_of(some_id), id_of(other_id), "ada", "Ada", "user"};
  };
  rig.start();
  std::promise<std::uint16_t> closed;
  std::thread late([&] { closed.set_value(rig.socket().wait_closed()); });
  asked.get_future().wait();
  rig.server->drain([] {});
  go_on.set_value();
  CHECK(closed.get_future().get() == number(close_code::draining));
  late.join();
}

TEST_CASE("draining does not wait longer than drain_ms", "[net][ws]") {
  net_rig rig;
  rig.front.on_call = [](const std::string&, const api::request&) -> api::reply {
    return actors::identity{id_of(some_id), id_of(other_id), "ada", "Ada", "user"};
  };
  rig.settings.server.drain_ms = 1000;
  rig.start();
  auto deaf = rig.socket();
  const auto connection = rig.greet(deaf);
  std::promise<void> done;
  auto is_done = done.get_future();
  rig.server->drain([&] { done.set_value(); });
  while (is_done.wait_for(std::chrono::milliseconds{10}) != std::future_status::ready)
    rig.time.move(100);
  rig.server->stop();
  CHECK(rig.front.session->gone_count() == 1);
}

TEST_CASE("stopping tells every session, and calls after it do nothing", "[net][ws]") {
  net_rig rig;
  rig.start();
  auto client = rig.socket();
  const auto connection = rig.greet(client);
  connection->push(text_frame("{}"));
  CHECK(client.receive() == "{}");
  rig.server.reset();
  CHECK(rig.front.session->gone_count() == 1);
  connection->push(text_frame("{}"));
  connection->attach(rig.front.session);
  connection->close(close_code::normal);
  CHECK(client.wait_closed() == 1006);
}

TEST_CASE("connections come and go by the hundred without a trace", "[net][ws]") {
  net_rig rig;
  rig.start();
  for (int round = 0; round < 100; ++round) {
    auto client = rig.socket();
    const auto connection = rig.greet(client);
    connection->push(text_frame("{}"));
    if (round % 3 == 0) connection->close(close_code::normal);
    if (round % 3 == 1) client.link().cut();
    if (round % 3 == 2) client.close();
  }
  std::promise<void> done;
  rig.server->drain([&] { done.set_value(); });
  done.get_future().wait();
  CHECK(rig.server->connections() == 0);
}
