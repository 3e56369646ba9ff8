// The routes, as PROTOCOL.md promises them.

#include "base/clock.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

api_reply refresh(const house& h, const std::string& token, const std::string& nonce = "") {
  json body{{"refresh_token", token}};
  if (!nonce.empty()) body["nonce"] = nonce;
  return api(h.address(), "", "POST", "/api/v1/refresh", body);
}

std::string events_path(const std::string& room, const std::string& query) {
  return "/api/v1/rooms/" + room + "/events?" + query;
}
std::string messages_path(const std::string& room) { return "/api/v1/rooms/" + room + "/messages"; }

std::string any_id() {
  static std::mt19937_64 random(seed());
  return random_id(random);
}

} // namespace

TEST_CASE("the first account is the admin, the next are users, and a name is taken once") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  CHECK(h.get(ann, "/api/v1/me").body["role"] == "admin");
  CHECK(h.get(bob, "/api/v1/me").body["role"] == "user");
  CHECK(h.get(bob, "/api/v1/me").body["id"] == bob.id);
  const auto again =
      api(h.address(), "", "POST", "/api/v1/signup", {{"username", "ANN"}, {"password", "another password"}});
  CHECK(again.status == 409);
  CHECK(again.code() == "conflict");
}

TEST_CASE("a login needs the password, and accounts survive a kill") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto login = [&](const std::string& password) {
    return api(h.address(), "", "POST", "/api/v1/login", {{"username", "ann"}, {"password", password}});
  };
  CHECK(login("a password of ann").status == 200);
  CHECK(login("a password of bob").status == 401);
  CHECK(login("a password of bob").code() == "unauthenticated");
  h.server.kill();
  h.server.start();
  CHECK(login("a password of ann").body["user"]["id"] == ann.id);
  CHECK(h.get(ann, "/api/v1/me").status == 200);
}

TEST_CASE("a refresh token used again with its nonce gives the same successor, as long as that is unused") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto first = refresh(h, ann.refresh_token, "n1");
  REQUIRE(first.status == 200);
  const std::string successor = first.body["refresh_token"];
  CHECK(successor != ann.refresh_token);
  h.server.kill();
  h.server.start();
  const auto lost = refresh(h, ann.refresh_token, "n1");
  REQUIRE(lost.status == 200);
  CHECK(lost.body["refresh_token"] == successor);
  REQUIRE(refresh(h, successor, "n2").status == 200);
  CHECK(refresh(h, ann.refresh_token, "n1").status == 401);
  CHECK(h.get(ann, "/api/v1/me").status == 401);
}

TEST_CASE("a refresh token that is used twice ends its family: access tokens and live connections") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto c = h.device(ann);
  const auto first = refresh(h, ann.refresh_token);
  REQUIRE(first.status == 200);
  const auto again = refresh(h, ann.refresh_token);
  CHECK(again.status == 401);
  CHECK(again.code() == "unauthenticated");
  CHECK(c->wait_closed() == 4401);
  CHECK(h.get(ann, "/api/v1/me").status == 401);
  CHECK(api(h.address(), first.body["access_token"], "GET", "/api/v1/me").status == 401);
  CHECK(refresh(h, first.body["refresh_token"]).status == 401);
  const auto login =
      api(h.address(), "", "POST", "/api/v1/login", {{"username", "ann"}, {"password", "a password of ann"}});
  CHECK(api(h.address(), login.body["access_token"], "GET", "/api/v1/me").status == 200);
}

TEST_CASE("logout ends its own family and its connections, and no other") {
  house h(MARU_BINARY);
  const auto here = h.person("ann");
  const auto login =
      api(h.address(), "", "POST", "/api/v1/login", {{"username", "ann"}, {"password", "a password of ann"}});
  const account there{"ann", here.id, login.body["access_token"], login.body["refresh_token"]};
  const auto one = h.device(here), other = h.device(there);
  CHECK(h.post(here, "/api/v1/logout", json::object()).status == 204);
  CHECK(one->wait_closed() == 4401);
  CHECK(h.get(here, "/api/v1/me").status == 401);
  CHECK(refresh(h, here.refresh_token).status == 401);
  other->say({{"type", "ping"}, {"t", 1}});
  CHECK(other->wait([&] { return other->pongs() == 1; }));
  CHECK(h.get(there, "/api/v1/me").status == 200);
  CHECK(api(h.address(), "", "POST", "/api/v1/logout", {{"refresh_token", there.refresh_token}}).status ==
        204);
  CHECK(other->wait_closed() == 4401);
}

TEST_CASE("a profile can be changed, and a password only by who knows it") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto patch = [&](const json& body) {
    return api(h.address(), ann.access_token, "PATCH", "/api/v1/me", body);
  };
  CHECK(patch({{"display_name", "Ann A."}, {"settings", {{"theme", "dark"}}}}).status == 200);
  CHECK(h.get(ann, "/api/v1/me").body["display_name"] == "Ann A.");
  CHECK(h.get(ann, "/api/v1/me").body["settings"]["theme"] == "dark");
  CHECK(patch({{"password", "wrong wrong"}, {"new_password", "a new password"}}).status >= 400);
  CHECK(patch({{"password", "a password of ann"}, {"new_password", "a new password"}}).status == 200);
  const auto login = [&](const std::string& password) {
    return api(h.address(), "", "POST", "/api/v1/login", {{"username", "ann"}, {"password", password}});
  };
  CHECK(login("a new password").status == 200);
  CHECK(login("a password of ann").status == 401);
}

TEST_CASE("a new name is on what an open socket sends from then on") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  CHECK(api(h.address(), ann.access_token, "PATCH", "/api/v1/me", {{"display_name", "Queen Ann"}}).status ==
        200);
  acked(*c, c->send(room, "who wrote this?", {{"agents", json::array()}}));
  CHECK(all_events(h.address(), ann, room).at(0)["author"]["name"] == "Queen Ann");
}

TEST_CASE("errors are problem documents with a code, and every reply has a request id") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto check = [](const api_reply& reply, int status, const std::string& code) {
    CHECK(reply.status == status);
    CHECK(reply.code() == code);
    CHECK(reply.raw.field("content-type").starts_with("application/problem+json"));
    CHECK(reply.body["status"] == status);
    CHECK_FALSE(reply.raw.field("x-request-id").empty());
  };
  check(api(h.address(), "", "GET", "/api/v1/nothing"), 404, "not_found");
  check(h.get(ann, "/api/v1/nothing"), 404, "not_found");
  check(api(h.address(), "", "GET", "/api/v1/me"), 401, "unauthenticated");
  check(api(h.address(), "nonsense", "GET", "/api/v1/me"), 401, "unauthenticated");
  check(api(h.address(), ann.access_token, "DELETE", "/api/v1/me"), 405, "method_not_allowed");
  check(h.post(ann, messages_path(room), {{"id", "no uuid"}, {"text", "x"}}), 400, "invalid_field");
  check(h.post(ann, messages_path(room), {{"id", any_id()}}), 400, "invalid_field");
  check(h.post(ann, messages_path(room), {{"id", any_id()}, {"text", std::string(262'145, 'x')}}), 413,
        "too_large");
  check(h.get(ann, events_path(room, "limit=501")), 400, "invalid_field");
  check(h.get(ann, events_path(room, "after=x")), 400, "invalid_field");
  const auto raw = http_request(h.address(), "POST", "/api/v1/rooms", {bearer(ann.access_token)}, "{\"a\":");
  CHECK(raw.status == 400);
  CHECK(json::parse(raw.body)["code"] == "invalid_json");
  CHECK_FALSE(http_request(h.address(), "GET", "/healthz").field("x-request-id").empty());
}

TEST_CASE("rooms have the first agent unless others are named, and are listed with the newest first") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  CHECK(h.get(ann, "/api/v1/agents").body["agents"].size() == 2);
  const auto first = h.post(ann, "/api/v1/rooms", {{"title", "one"}});
  CHECK(first.status == 201);
  CHECK(first.body["agents"] == json{"maru"});
  CHECK(h.post(ann, "/api/v1/rooms", {{"agents", {"nobody"}}}).code() == "invalid_field");
  const auto second = h.room(ann, {"second", "maru"}), third = h.room(ann, {});
  const auto c = h.device(ann);
  acked(*c, c->send(first.body["id"], "a word", {{"agents", json::array()}}));
  const auto page = h.get(ann, "/api/v1/rooms?limit=2");
  REQUIRE(page.body["rooms"].size() == 2);
  CHECK(page.body["rooms"][0]["id"] == first.body["id"]);
  CHECK(page.body["rooms"][0]["last"]["data"]["text"] == "a word");
  CHECK(page.body["rooms"][0]["title"] == "one");
  CHECK(page.body["rooms"][1]["id"] == third);
  const auto rest = h.get(ann, "/api/v1/rooms?limit=2&cursor=" + page.body["next"].get<std::string>());
  REQUIRE(rest.body["rooms"].size() == 1);
  CHECK(rest.body["rooms"][0]["id"] == second);
  CHECK(rest.body["rooms"][0]["agents"] == json{"second", "maru"});
  CHECK(h.get(ann, "/api/v1/rooms/" + third).body["agents"].empty());
  // A time that is no number of ours gave an empty page instead.
  for (const std::string time : {"", "99999999999999999999", "1x", "1."})
    CHECK(h.get(ann, "/api/v1/rooms?cursor=" + time + "." + third).code() == "invalid_field");
}

TEST_CASE("a room is not there for those who are no members") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  const auto end = ended(*c, c->send(room, "mine"));
  const std::string path = "/api/v1/rooms/" + room;
  CHECK(h.get(bob, path).status == 404);
  CHECK(h.get(bob, events_path(room, "after=0")).status == 404);
  CHECK(h.post(bob, messages_path(room), {{"id", any_id()}, {"text", "let me in"}}).status == 404);
  const std::string answer = end["data"]["answer"];
  CHECK(h.post(bob, path + "/answers/" + answer + "/stop", {{"id", any_id()}}).status == 404);
  CHECK(h.get(bob, "/api/v1/rooms").body["rooms"].empty());
  const auto other = h.device(bob);
  other->open(room);
  const auto sent = other->send(room, "let me in");
  REQUIRE(other->wait([&] { return other->errors().size() == 2; }));
  for (const auto& e : other->errors())
    CHECK(e["code"] == "not_found");
  CHECK(h.get(ann, path).body["head"] == end["seq"]);
}

TEST_CASE("events are paged forwards and backwards, ascending") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  for (int i = 0; i < 7; ++i)
    c->send(room, std::to_string(i), {{"agents", json::array()}});
  REQUIRE(c->wait([&] { return c->unacked() == 0; }));
  const auto seqs = [&](const std::string& query) {
    const auto reply = h.get(ann, events_path(room, query));
    CHECK(reply.body["head"] == 7);
    CHECK(reply.body["floor"] == 1);
    std::vector<int> out;
    for (const auto& e : reply.body["events"])
      out.push_back(e["seq"]);
    return out;
  };
  using list = std::vector<int>;
  CHECK(seqs("after=0&limit=3") == list{1, 2, 3});
  CHECK(seqs("after=5") == list{6, 7});
  CHECK(seqs("after=7").empty());
  CHECK(seqs("after=99").empty());
  CHECK(seqs("before=4&limit=2") == list{2, 3});
  CHECK(seqs("before=1").empty());
  CHECK(seqs("limit=2") == list{6, 7});
  CHECK(all_events(h.address(), ann, room, 2).size() == 7);
}

TEST_CASE("a message is taken once, however often it is sent, and its id holds no other content") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const json body{{"id", any_id()}, {"text", "ask"}};
  const auto first = h.post(ann, messages_path(room), body);
  CHECK(first.status == 202);
  CHECK(first.body["duplicate"] == false);
  CHECK(first.body["answers"][0]["agent"] == "maru");
  auto again = h.post(ann, messages_path(room), body);
  CHECK(again.status == 202);
  CHECK(again.body["duplicate"] == true);
  for (const auto* same : {"event", "seq", "answers"})
    CHECK(again.body[same] == first.body[same]);
  h.server.kill();
  h.server.start();
  again = h.post(ann, messages_path(room), body);
  CHECK(again.body["duplicate"] == true);
  CHECK(again.body["seq"] == first.body["seq"]);
  const auto conflict = [&](json other) {
    other["id"] = body["id"];
    const auto reply = h.post(ann, messages_path(room), other);
    CHECK(reply.status == 409);
    CHECK(reply.code() == "conflict");
  };
  conflict({{"text", "ask!"}});
  conflict({{"text", "ask"}, {"agents", json::array()}});
  conflict({{"text", "ask"}, {"reply_to", first.body["event"]}});
  const std::string answer = first.body["answers"][0]["answer"];
  CHECK(h.post(ann, "/api/v1/rooms/" + room + "/answers/" + answer + "/stop", {{"id", body["id"]}}).status ==
        409);
  const auto bigger =
      h.post(ann, messages_path(room),
             {{"id", any_id()}, {"text", std::string(262'144, 'x')}, {"agents", json::array()}});
  CHECK(bigger.status == 202);
}

TEST_CASE("a message asks the agents it names, nobody with an empty list, and none that is unknown") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto ask = [&](const json& agents) {
    return h.post(ann, messages_path(room), {{"id", any_id()}, {"text", "ask"}, {"agents", agents}});
  };
  CHECK(ask(json::array()).body["answers"].empty());
  const auto both = ask({"second", "maru"}).body["answers"];
  REQUIRE(both.size() == 2);
  CHECK(both[0]["agent"] == "second");
  CHECK(both[1]["agent"] == "maru");
  CHECK(ask({"nobody"}).code() == "invalid_field");
  const auto c = h.device(ann, room);
  REQUIRE(c->wait([&] { return c->room(room).events.size() == 4; }));
  CHECK(c->unfinished(room) == 0);
  CHECK(c->wrong() == "");
}

TEST_CASE("a stop over HTTP gives the seq of the end, also after it and again") {
  house h(MARU_BINARY, test::answers(1000, 50));
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto asked = h.post(ann, messages_path(room), {{"id", any_id()}, {"text", "long"}});
  const std::string answer = asked.body["answers"][0]["answer"];
  const auto path = "/api/v1/rooms/" + room + "/answers/" + answer + "/stop";
  const json body{{"id", any_id()}};
  const auto stopped = h.post(ann, path, body);
  CHECK(stopped.status == 202);
  CHECK(stopped.body["seq"] == 2);
  CHECK(stopped.body["answers"].empty());
  CHECK(h.post(ann, path, body).body["duplicate"] == true);
  const auto later = h.post(ann, path, {{"id", any_id()}});
  CHECK(later.status == 202);
  CHECK(later.body["seq"] == 2);
  CHECK(later.body["event"] == stopped.body["event"]);
  CHECK(all_events(h.address(), ann, room).size() == 2);
  CHECK(h.post(ann, "/api/v1/rooms/" + room + "/answers/" + any_id() + "/stop", {{"id", any_id()}}).status ==
        404);
}

TEST_CASE("what the attempts at an answer cost is told to members, and to nobody else") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  const auto end = ended(*c, c->send(room, "question"));
  const std::string answer = end["data"]["answer"];
  const auto path = "/api/v1/rooms/" + room + "/answers/";
  const auto told = h.get(ann, path + answer);
  CHECK(told.status == 200);
  CHECK(told.body["answer"] == answer);
  CHECK(told.body["end"] == "answer");
  REQUIRE(told.body["attempts"].size() == 1);
  const auto& attempt = told.body["attempts"][0];
  CHECK(attempt["how"] == "answered");
  CHECK(attempt["completion_tokens"] == end["data"]["usage"]["completion_tokens"]);
  CHECK(h.get(ann, path + any_id()).status == 404);
  CHECK(h.get(ann, "/api/v1/rooms/" + h.room(ann) + "/answers/" + answer).status == 404);
  CHECK(h.get(bob, path + answer).status == 404);
}

TEST_CASE("a message is scheduled, listed, cancelled, and posted at its time, also after a kill") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann"), bob = h.person("bob");
  const auto room = h.room(ann);
  const auto path = "/api/v1/rooms/" + room + "/schedule";
  const auto made = parse_rfc3339(h.get(ann, "/api/v1/rooms/" + room).body["created_at"].get<std::string>());
  const json soon{{"id", any_id()}, {"text", "soon"}, {"at", rfc3339(made.value() + 1500)}};
  const json weekly{{"id", any_id()},
                    {"text", "weekly"},
                    {"agents", json::array()},
                    {"cron", "0 9 * * 1"},
                    {"zone", "Asia/Seoul"}};
  const auto kept = h.post(ann, path, soon);
  CHECK(kept.status == 201);
  CHECK(kept.body["duplicate"] == false);
  const auto repeated = h.post(ann, path, weekly);
  REQUIRE(repeated.status == 201);
  h.server.kill();
  h.server.start();
  CHECK(h.post(ann, path, soon).body == json{{"schedule", kept.body["schedule"]}, {"duplicate", true}});
  const auto listed = h.get(ann, path).body["scheduled"];
  REQUIRE(listed.size() >= 1);
  CHECK(listed.back()["id"] == repeated.body["schedule"]);
  CHECK(listed.back()["cron"] == "0 9 * * 1");
  CHECK(listed.back()["agents"].empty());
  CHECK(listed.back()["author"]["id"] == ann.id);

  const auto device = h.device(ann, room);
  REQUIRE(device->wait([&] { return device->room(room).events.size() >= 2; })); // with its answer
  const auto events = all_events(h.address(), ann, room);
  CHECK(events[0]["data"]["text"] == "soon");
  CHECK(events[0]["author"]["id"] == ann.id);
  CHECK(events[0]["data"]["scheduled"] == json{{"schedule", kept.body["schedule"]}, {"at", soon["at"]}});
  CHECK(events[1]["kind"] == "answer");
  CHECK(device->wrong() == "");

  const auto drop = [&](const account& who, const std::string& id) {
    return api(h.address(), who.access_token, "DELETE", path + "/" + id).status;
  };
  const std::string id = repeated.body["schedule"];
  CHECK(drop(bob, id) == 404);
  CHECK(drop(ann, id) == 204);
  CHECK(drop(ann, id) == 404);
  CHECK(drop(ann, kept.body["schedule"]) == 404);
  CHECK(h.get(ann, path).body["scheduled"].empty());
  CHECK(h.get(bob, path).status == 404);
}

TEST_CASE("what cannot be scheduled is refused with what to do") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto path = "/api/v1/rooms/" + h.room(ann) + "/schedule";
  const auto refused = [&](json body) {
    body["text"] = "text";
    body["id"] = any_id();
    const auto how = h.post(ann, path, body);
    CHECK(how.status == 400);
    CHECK(how.code() == "invalid_field");
    return how.body["detail"].get<std::string>();
  };
  CHECK(refused({{"at", "2020-01-01T00:00:00Z"}}) == "at: is over");
  CHECK(refused({{"at", "9999-01-01T00:00:00Z"}}).starts_with("at: more than"));
  CHECK(refused({{"cron", "0 9 * * 1"}, {"zone", "../etc/passwd"}}).starts_with("zone: "));
  CHECK(refused({{"cron", "* * * * *"}, {"zone", "UTC"}}).starts_with("cron: at most once"));
  CHECK(refused({{"cron", "0 0 31 2 *"}, {"zone", "UTC"}}) == "cron: this never happens");
  CHECK(h.post(ann, path,
               {{"id", any_id()}, {"text", std::string(262'145, 'x')}, {"at", "2030-01-01T00:00:00Z"}})
            .status == 413);
}

TEST_CASE("the server says that it lives and that it is ready") {
  house h(MARU_BINARY);
  CHECK(http_request(h.address(), "GET", "/healthz").status == 200);
  CHECK(http_request(h.address(), "GET", "/readyz").status == 200);
  CHECK(http_request(h.address(), "HEAD", "/healthz").body.empty());
}

} // namespace maru::tests
