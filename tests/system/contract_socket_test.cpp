// The WebSocket, as PROTOCOL.md promises it.

#include <csignal>
#include <thread>

#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

const json nobody{{"agents", json::array()}};

void fill(chat_client& c, const std::string& room, int count) {
  for (int i = 0; i < count; ++i)
    c.send(room, "word " + std::to_string(i), nobody);
  REQUIRE(c.wait([&] { return c.unacked() == 0; }));
}

// Says it, and gives the error that comes for it.
json refused(chat_client& c, const json& frame) {
  const auto before = c.errors().size();
  c.say(frame);
  REQUIRE(c.wait([&] { return c.errors().size() > before; }));
  return c.errors().back();
}

void ping(chat_client& c) {
  const auto before = c.pongs();
  c.say({{"type", "ping"}, {"t", before}});
  REQUIRE(c.wait([&] { return c.pongs() > before; }));
  CHECK(c.last_pong()["t"] == before);
}

std::uint16_t closed_at_once(const house& h, const headers& with, std::string_view subprotocol,
                             std::string_view target = "/ws") {
  ws_client socket(h.address(), target, with, subprotocol);
  CHECK(socket.upgrade().status == 101);
  return socket.wait_closed();
}

} // namespace

TEST_CASE("a socket needs the subprotocol and a token, and says which is missing by its close code") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto token = bearer(ann.access_token);
  CHECK(closed_at_once(h, {token}, "") == 4400);
  CHECK(closed_at_once(h, {token}, "other.v7") == 4400);
  CHECK(closed_at_once(h, {}, "maru.v1") == 4401);
  CHECK(closed_at_once(h, {bearer("nonsense")}, "maru.v1") == 4401);
  CHECK(closed_at_once(h, {}, "maru.v1", "/ws?ticket=nonsense") == 4401);
  ws_client both(h.address(), "/ws", {token}, "other.v7, maru.v1");
  CHECK(both.upgrade().field("sec-websocket-protocol") == "maru.v1");
  both.send(R"({"type":"hello"})");
  CHECK(both.receive().value_or("").find("welcome") != std::string::npos);
}

TEST_CASE("a ticket opens one socket") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto ticket = h.post(ann, "/api/v1/negotiate", json::object());
  REQUIRE(ticket.status == 200);
  const std::string url = ticket.body["url"];
  const auto target = url.substr(url.find("/ws"));
  CHECK(target == "/ws?ticket=" + ticket.body["token"].get<std::string>());
  ws_client socket(h.address(), target);
  socket.send(R"({"type":"hello"})");
  CHECK(json::parse(socket.receive().value_or("{}"))["user"] == ann.id);
  CHECK(closed_at_once(h, {}, "maru.v1", target) == 4401);
}

TEST_CASE("what was checked before a logout opens no socket after it") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const std::string ticket = h.post(ann, "/api/v1/negotiate", json::object()).body["token"];
  ws_client early(h.address(), "/ws", {{"Authorization", "Bearer " + ann.access_token}});
  CHECK(h.post(ann, "/api/v1/logout", json::object()).status == 204);
  early.send(R"({"type":"hello"})");
  CHECK_FALSE(early.receive());
  CHECK(early.close_code() == 4401);
  ws_client late(h.address(), "/ws?ticket=" + ticket);
  late.send(R"({"type":"hello"})");
  CHECK_FALSE(late.receive());
  CHECK(late.close_code() == 4401);
}

TEST_CASE("binary frames, broken UTF-8 and frames beyond the limit close the socket") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto closed_by = [&](int opcode, std::string_view bytes) {
    const auto c = h.device(ann);
    c->socket()->send_frame(opcode, bytes);
    return c->wait_closed();
  };
  CHECK(closed_by(2, R"({"type":"ping"})") == 4400);
  CHECK(closed_by(1, "\xc3\x28") == 1007);
  CHECK(closed_by(1, std::string(1'048'577, 'x')) == 1009);
}

TEST_CASE("what is refused gets an error, and the connection lives on") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  const std::string id = "01234567-89ab-4cde-8fff-0123456789ab";
  CHECK(refused(*c, {{"type", "nonsense"}, {"id", id}})["code"] == "unknown_type");
  CHECK(refused(*c, {{"kind", "send"}})["code"] == "invalid_field");
  CHECK(refused(*c, json::array({1, 2}))["code"] == "invalid_json");
  CHECK(refused(*c, {{"type", "hello"}})["code"] == "bad_order");
  CHECK(refused(*c, {{"type", "open"}, {"room", "everywhere"}})["code"] == "invalid_field");
  CHECK(refused(*c, {{"type", "open"}, {"room", room}, {"after", -1}})["code"] == "invalid_field");
  const auto no_text = refused(*c, {{"type", "send"}, {"id", id}, {"room", room}});
  CHECK(no_text["code"] == "invalid_field");
  CHECK(no_text["id"] == id);
  const auto nul =
      refused(*c, {{"type", "send"}, {"id", id}, {"room", room}, {"text", std::string("a\0b", 3)}});
  CHECK(nul["code"] == "invalid_field");
  const auto no_room = refused(*c, {{"type", "send"}, {"id", id}, {"room", id}, {"text", "x"}});
  CHECK(no_room["code"] == "not_found");
  CHECK(no_room["id"] == id);
  const auto no_agent =
      refused(*c, {{"type", "send"}, {"id", id}, {"room", room}, {"text", "x"}, {"agents", {"nobody"}}});
  CHECK(no_agent["code"] == "invalid_field");
  const auto no_answer = refused(*c, {{"type", "stop"}, {"id", id}, {"room", room}, {"answer", id}});
  CHECK(no_answer["code"] == "not_found");
  const auto before = c->errors().size();
  c->socket()->send("{ this is no JSON");
  REQUIRE(c->wait([&] { return c->errors().size() > before; }));
  CHECK(c->errors().back()["code"] == "invalid_json");
  ping(*c);
  acked(*c, c->send(room, "still here", nobody));
  CHECK(c->wrong() == "");
}

TEST_CASE("hello comes first") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  ws_client socket(h.address(), "/ws", {bearer(ann.access_token)});
  socket.send(R"({"type":"ping","t":1})");
  CHECK(json::parse(socket.receive().value_or("{}"))["code"] == "bad_order");
  socket.send(R"({"type":"hello","client":"a test","unknown":[1]})");
  const auto welcome = json::parse(socket.receive().value_or("{}"));
  CHECK(welcome["type"] == "welcome");
  CHECK(welcome["user"] == ann.id);
  CHECK(welcome["server"].contains("version"));
  CHECK(welcome["heartbeat_ms"].is_number());
  CHECK(welcome["limits"]["message_text_bytes"] == 262'144);
}

TEST_CASE("open replays all, the last 50, or what came after, and never more than there is") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  CHECK(c->room(room).last_opened["head"] == 0);
  CHECK(c->room(room).last_opened["from"] == 1);
  fill(*c, room, 60);
  const auto replayed = [&](std::optional<std::uint64_t> after) {
    const auto d = h.device(ann);
    d->open(room, after);
    REQUIRE(d->wait([&] { return d->room(room).is_open && d->room(room).next == 61; }));
    CHECK(d->room(room).last_opened["head"] == 60);
    CHECK(d->wrong() == "");
    return d->room(room).events.size();
  };
  CHECK(replayed(0) == 60);
  CHECK(replayed(std::nullopt) == 50);
  CHECK(replayed(58) == 2);
  CHECK(replayed(60) == 0);
  CHECK(replayed(999) == 0);
}

TEST_CASE("a room can be closed, and a second open starts over") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room), other = h.device(ann, room);
  fill(*c, room, 3);
  c->open(room, 1);
  REQUIRE(c->wait([&] { return c->room(room).openings == 2 && c->room(room).next == 4; }));
  c->close_room(room);
  ping(*c);
  fill(*other, room, 2);
  ping(*c);
  CHECK(c->room(room).events.size() == 3);
  c->open(room, 3);
  REQUIRE(c->wait([&] { return c->room(room).events.size() == 5; }));
  CHECK(c->wrong() == "");
}

TEST_CASE("two devices of a person see the same, piece by piece") {
  house h(MARU_BINARY, test::answers(30, 1));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto one = h.device(ann, room), two = h.device(ann, room);
  one->expect(test::expected_answer);
  two->expect(test::expected_answer);
  one->send(room, "from one");
  two->send(room, "from two");
  const auto all = [&] {
    return one->room(room).events.size() == 4 && two->room(room).events.size() == 4 &&
           one->unacked() + two->unacked() == 0;
  };
  REQUIRE(pump({one.get(), two.get()}, all));
  CHECK(one->room(room).events == two->room(room).events);
  CHECK(one->wrong() + two->wrong() == "");
}

TEST_CASE("a device hears of rooms that it has not open, and what another has read is read") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto bob = h.person("bob");
  const auto phone = h.device(ann);
  const auto bobs = h.device(bob);
  const auto room = h.room(ann);
  const auto newest = [&] { return phone->room_frames().back(); };
  REQUIRE(phone->wait([&] { return !phone->room_frames().empty(); }));
  CHECK(newest()["room"] == room);
  CHECK(newest()["head"] == 0);

  // Asked by HTTP: the question is her own, the answer is unread.
  const json question{{"id", "0198c1a6-7d3e-7b7e-8f5e-0123456789ab"}, {"text", "anything new?"}};
  REQUIRE(h.post(ann, "/api/v1/rooms/" + room + "/messages", question).status == 202);
  REQUIRE(phone->wait([&] { return newest()["head"] == 2; }));
  CHECK(newest()["unread"] == 1);
  CHECK(newest()["last"]["kind"] == "answer");
  const auto listed = [&] { return h.get(ann, "/api/v1/rooms").body["rooms"].at(0); };
  auto as_listed = newest();
  as_listed.erase("type");
  as_listed.erase("room");
  // The list may not know yet that she has read her own question.
  auto from_list = listed();
  CHECK(from_list["unread"].get<int>() >= 1);
  from_list["read"] = as_listed["read"];
  from_list["unread"] = as_listed["unread"];
  CHECK(from_list == as_listed);

  const auto desk = h.device(ann, room);
  REQUIRE(desk->wait([&] { return desk->room(room).next == 3; }));
  REQUIRE(phone->wait([&] { return newest()["unread"] == 0; }));
  CHECK(newest()["read"] == 2);
  CHECK(desk->room_frames().empty());
  desk->close_room(room);
  desk->say({{"type", "ping"}});
  REQUIRE(desk->wait([&] { return desk->pongs() > 0; }));
  while (listed()["unread"] != 0) // the close is on its way to the store
    std::this_thread::yield();
  bobs->say({{"type", "ping"}});
  REQUIRE(bobs->wait([&] { return bobs->pongs() > 0; }));
  CHECK(bobs->room_frames().empty());
}

TEST_CASE("a newer connection of a session takes over from the older") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto one = h.device(ann, room);
  ws_client newer(h.address(), "/ws", {bearer(ann.access_token)});
  newer.send(json{{"type", "hello"}, {"session", one->session()}}.dump());
  CHECK(json::parse(newer.receive().value_or("{}"))["session"] == one->session());
  CHECK(one->wait_closed() == 4409);
}

TEST_CASE("a device that comes back gets exactly what it missed") {
  house h(MARU_BINARY, test::answers(40, 2));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto one = h.device(ann, room), two = h.device(ann, room);
  one->expect(test::expected_answer);
  fill(*one, room, 5);
  REQUIRE(one->wait([&] { return one->room(room).next == 6; }));
  one->disconnect();
  fill(*two, room, 250);
  const auto question = two->send(room, "a question");
  acked(*two, question);
  REQUIRE(one->connect());
  REQUIRE(one->wait([&] { return one->room(room).ended.size() == 1; }));
  CHECK(one->room(room).events.size() == 257);
  CHECK(one->wrong() + two->wrong() == "");
}

TEST_CASE("a resend over the socket is acked again, and its id holds no other content") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  const auto id = c->send(room, "once");
  for (int i = 0; i < 9; ++i)
    c->resend(id);
  REQUIRE(c->wait([&] { return c->commands().at(id).acks == 10 && c->unfinished(room) == 0; }));
  c->resend(id);
  REQUIRE(c->wait([&] { return c->commands().at(id).acks == 11; }));
  const auto conflict = refused(*c, {{"type", "send"}, {"id", id}, {"room", room}, {"text", "other"}});
  CHECK(conflict["code"] == "conflict");
  CHECK(conflict["id"] == id);
  CHECK(all_events(h.address(), ann, room).size() == 2);
  CHECK(c->wrong() == "");
}

TEST_CASE("questions to one agent are answered in their order, those that wait being queued") {
  house h(MARU_BINARY, test::answers(10, 5));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  c->expect(test::expected_answer);
  std::vector<std::string> questions, answered;
  for (int i = 0; i < 4; ++i)
    questions.push_back(c->send(room, "question " + std::to_string(i)));
  for (const auto& q : questions)
    acked(*c, q);
  const std::string last = c->ack(questions.back())["answers"][0]["answer"];
  REQUIRE(c->wait([&] { return c->room(room).live.contains(last); }));
  CHECK(c->room(room).live.at(last).state == "queued");
  CHECK(c->room(room).live.at(last).attempt == 1);
  REQUIRE(c->wait([&] { return c->room(room).ended.size() == 4; }));
  for (const auto& [seq, event] : c->room(room).events)
    if (event["kind"] == "answer") answered.push_back(event["data"]["question"]);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(answered.at(i) == c->ack(questions[i])["event"].get<std::string>());
  CHECK(c->wrong() == "");
}

TEST_CASE("a stop ends a running answer and a waiting one, and after the end changes nothing") {
  house h(MARU_BINARY, test::answers(1000, 20));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  c->expect(test::expected_answer);
  const auto running = c->send(room, "running"), waiting = c->send(room, "waiting");
  const std::string first = acked(*c, running)["answers"][0]["answer"];
  const std::string second = acked(*c, waiting)["answers"][0]["answer"];
  REQUIRE(c->wait([&] { return c->room(room).live.contains(first) && c->room(room).live.at(first).n > 2; }));
  const auto check = [&](const std::string& command, const std::string& answer) {
    const auto ack = acked(*c, command);
    REQUIRE(c->wait([&] { return c->end_of(room, answer) != nullptr; }));
    const auto& end = *c->end_of(room, answer);
    CHECK(end["kind"] == "answer_stopped");
    CHECK(ack["seq"] == end["seq"]);
    CHECK(ack["event"] == end["id"]);
    CHECK(ack["answers"].empty());
  };
  check(c->stop(room, second), second);
  const auto stop = c->stop(room, first);
  check(stop, first);
  c->resend(stop);
  REQUIRE(c->wait([&] { return c->commands().at(stop).acks == 2; }));
  check(c->stop(room, first), first);
  h.server.kill();
  h.server.start();
  REQUIRE(c->connect());
  check(c->stop(room, first), first);
  CHECK(all_events(h.address(), ann, room).size() == 4);
  CHECK(c->wrong() == "");
}

TEST_CASE("parent places a message in the tree and reply_to only points") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  const auto event_of = [&](const std::string& command) {
    const std::uint64_t seq = acked(*c, command)["seq"];
    REQUIRE(c->wait([&] { return c->room(room).events.contains(seq); }));
    return c->room(room).events.at(seq);
  };
  const auto first = event_of(c->send(room, "one", nobody));
  CHECK_FALSE(first["data"].contains("parent"));
  const auto second = event_of(c->send(room, "two", nobody));
  CHECK(second["data"]["parent"] == first["id"]);
  const auto answer = ended(*c, c->send(room, "three"));
  CHECK(event_of(c->send(room, "four", nobody))["data"]["parent"] == answer["id"]);
  const auto branch = event_of(c->send(
      room, "five", {{"agents", json::array()}, {"parent", first["id"]}, {"reply_to", second["id"]}}));
  CHECK(branch["data"]["parent"] == first["id"]);
  CHECK(branch["data"]["reply_to"] == second["id"]);
  const auto root = event_of(c->send(room, "six", {{"agents", json::array()}, {"parent", nullptr}}));
  CHECK_FALSE(root["data"].contains("parent"));
  const std::string id = "01234567-89ab-4cde-8fff-0123456789ab";
  for (const auto* field : {"parent", "reply_to"}) {
    const json wrong{{"type", "send"}, {"id", id}, {"room", room}, {"text", "x"}, {field, id}};
    CHECK(refused(*c, wrong)["code"] == "invalid_field");
  }
  ended(*c, c->send(room, "seven", {{"parent", second["id"]}}));
  std::vector<std::string> told;
  const auto request = h.model.requests().back();
  for (const auto& m : request.body["messages"])
    told.push_back(m["content"]);
  CHECK(told == std::vector<std::string>{"one", "two", "seven"});
  CHECK(c->wrong() == "");
}

TEST_CASE("SIGTERM tells the clients, ends with 0, and running answers go on at the next start") {
  house h(MARU_BINARY, test::answers(100, 10));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  c->expect(test::expected_answer);
  const auto question = c->send(room, "go on");
  const std::string answer = acked(*c, question)["answers"][0]["answer"];
  REQUIRE(
      c->wait([&] { return c->room(room).live.contains(answer) && c->room(room).live.at(answer).n > 5; }));
  h.server.send_signal(SIGTERM);
  CHECK(c->wait_closed() == 1001);
  c->disconnect();
  CHECK(h.server.wait_end() == 0);
  h.server.start();
  REQUIRE(c->connect());
  const auto& end = ended(*c, question);
  CHECK(end["kind"] == "answer");
  CHECK(end["data"]["text"] == test::expected_answer("go on", 100));
  CHECK(c->wrong() == "");
}

} // namespace maru::tests
