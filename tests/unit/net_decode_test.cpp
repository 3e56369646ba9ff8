#include <string>

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "net/decode.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::net;
using namespace maru::tests;

namespace {

const std::string id = some_id;

refusal refused(const std::string& text) {
  const auto got = decode_frame(text);
  const auto* bad = std::get_if<refused_frame>(&got);
  return bad != nullptr ? bad->why : refusal{};
}

template <class T>
T taken(const std::string& text) {
  auto got = decode_frame(text);
  if (const auto* bad = std::get_if<refused_frame>(&got)) FAIL(bad->why.detail);
  return std::get<T>(std::get<actors::frame_in>(std::get<client_frame>(got)));
}

std::string send_with(const std::string& more, const std::string& text = R"("hi")") {
  return R"({"type":"send","id":")" + id + R"(","room":")" + id + R"(","text":)" + text + more + "}";
}

std::string nested(std::size_t depth) {
  return R"({"type":"ping","t":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

} // namespace

TEST_CASE("what is wrong with a frame is said by code and field", "[net][decode]") {
  struct row {
    std::string text;
    code why;
    std::string names;
  };
  const auto row_of = GENERATE(values<row>({
      {"", code::invalid_json, ""},
      {"nonsense", code::invalid_json, ""},
      {"[1]", code::invalid_json, "object"},
      {"\"x\"", code::invalid_json, "object"},
      {"null", code::invalid_json, "object"},
      {R"({"type":"ping"} x)", code::invalid_json, ""},
      {R"({"type":"ping","t":1e999})", code::invalid_json, ""},
      {R"({})", code::invalid_field, "type"},
      {R"({"type":7})", code::invalid_field, "type"},
      {R"({"type":"dance"})", code::unknown_type, ""},
      {R"({"type":"hello","session":"x"})", code::invalid_field, "session"},
      {R"({"type":"hello","client":{}})", code::invalid_field, "client"},
      {R"({"type":"open"})", code::invalid_field, "room"},
      {R"({"type":"open","room":"../x"})", code::invalid_field, "room"},
      {R"({"type":"open","room":")" + std::string{some_id} + R"(","after":-1})", code::invalid_field,
       "after"},
      {R"({"type":"open","room":")" + std::string{some_id} + R"(","after":1.0})", code::invalid_field,
       "after"},
      {R"({"type":"open","room":")" + std::string{some_id} + R"(","after":"1"})", code::invalid_field,
       "after"},
      {R"({"type":"open","room":")" + std::string{some_id} + R"(","after":18446744073709551616})",
       code::invalid_field, "after"},
      {R"({"type":"close","room":null})", code::invalid_field, "room"},
      {R"({"type":"send","id":"1","room":")" + std::string{some_id} + R"(","text":"x"})", code::invalid_field,
       "id"},
      {send_with("", R"("")"), code::invalid_field, "text"},
      {send_with("", "17"), code::invalid_field, "text"},
      {send_with("", "null"), code::invalid_field, "text"},
      {send_with("", R"("a\u0000b")"), code::invalid_field, "text"},
      {send_with("", R"("a\ud800b")"), code::invalid_field, "text"},
      {send_with("", R"("\udc00\ud800")"), code::invalid_field, "text"},
      {send_with("", R"("\ud800\u0041")"), code::invalid_field, "text"},
      {send_with("", "\"a\xff\""), code::invalid_json, ""},
      {send_with(R"(,"agents":"maru")"), code::invalid_field, "agents"},
      {send_with(R"(,"agents":[1])"), code::invalid_field, "agents"},
      {send_with(R"(,"agents":[""])"), code::invalid_field, "agents"},
      {send_with(
           R"(,"agents":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])"),
       code::invalid_field, "agents"},
      {send_with(R"(,"parent":"x")"), code::invalid_field, "parent"},
      {send_with(R"(,"parent":5)"), code::invalid_field, "parent"},
      {send_with(R"(,"reply_to":[])"), code::invalid_field, "reply_to"},
      {R"({"type":"stop","id":")" + std::string{some_id} + R"(","room":")" + std::string{some_id} + R"("})",
       code::invalid_field, "answer"},
      {R"({"type":"retry","id":")" + std::string{some_id} + R"(","room":")" + std::string{some_id} + R"("})",
       code::invalid_field, "answer"},
      {R"({"type":"retry","room":")" + std::string{some_id} + R"(","answer":")" + std::string{some_id} +
           R"("})",
       code::invalid_field, "id"},
  }));
  CAPTURE(row_of.text);
  const auto why = refused(row_of.text);
  CHECK(word(why.why) == word(row_of.why));
  CHECK(why.detail.find(row_of.names) != std::string::npos);
}

TEST_CASE("a send comes out whole, with its defaults", "[net][decode]") {
  const auto plain = taken<actors::send_in>(send_with(R"(,"unknown":{"x":[null]})", R"("\ud83d\ude00 ä")"));
  CHECK(plain.text == "\xf0\x9f\x98\x80 ä");
  CHECK(plain.id == some_id);
  CHECK(plain.key == id_of(some_id));
  CHECK_FALSE(plain.agents);
  CHECK(plain.parent_is == actors::parent_rule::newest);
  CHECK_FALSE(plain.reply_to);

  const auto full = taken<actors::send_in>(
      send_with(R"(,"agents":[],"parent":null,"reply_to":")" + std::string{other_id} + "\""));
  CHECK(full.agents->empty());
  CHECK(full.parent_is == actors::parent_rule::root);
  CHECK(full.reply_to == id_of(other_id));

  const auto given =
      taken<actors::send_in>(send_with(R"(,"agents":["a"],"parent":")" + std::string{other_id} + "\""));
  CHECK(given.agents->front() == "a");
  CHECK(given.parent_is == actors::parent_rule::given);
  CHECK(given.parent == id_of(other_id));
}

TEST_CASE("the id of a command comes back as the client wrote it", "[net][decode]") {
  const auto got =
      taken<actors::stop_in>(R"({"type":"stop","id":"01890A5D-AC96-774B-BCCE-B302099A8057","room":")" + id +
                             R"(","answer":")" + id + R"("})");
  CHECK(got.id == "01890A5D-AC96-774B-BCCE-B302099A8057");
  CHECK(got.key == id_of(some_id));
  const auto retried = taken<actors::retry_in>(R"({"type":"retry","id":")" + id + R"(","room":")" + id +
                                               R"(","answer":")" + std::string{other_id} + R"("})");
  CHECK(retried.key == id_of(some_id));
  CHECK(retried.answer == id_of(other_id));
  const auto bad = decode_frame(R"({"type":"dance","id":"my own"})");
  CHECK(std::get<refused_frame>(bad).id == "my own");
  const auto odd = decode_frame(R"({"type":"dance","id":7})");
  CHECK(std::get<refused_frame>(odd).id.empty());
  const auto longer = decode_frame(R"({"type":"dance","id":")" + std::string(5000, 'x') + "\"}");
  CHECK(std::get<refused_frame>(longer).id.size() == limits::echoed_id_bytes);
}

TEST_CASE("a message may have message_text_bytes and not one more", "[net][decode]") {
  const auto text = [](std::size_t size) { return "\"" + std::string(size, 'x') + "\""; };
  CHECK(taken<actors::send_in>(send_with("", text(limits::message_text_bytes))).text.size() ==
        limits::message_text_bytes);
  CHECK(refused(send_with("", text(limits::message_text_bytes + 1))).why == code::too_large);
}

TEST_CASE("JSON may nest json_depth levels, however much more is tried", "[net][decode]") {
  CHECK_FALSE(refused(nested(limits::json_depth)));
  CHECK(refused(nested(limits::json_depth + 1)).why == code::invalid_json);
  CHECK(refused(std::string(1'000'000, '[')).why == code::invalid_json);
  CHECK_FALSE(refused(R"({"type":"ping","t":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[["})"));
}

TEST_CASE("ping keeps its t", "[net][decode]") {
  const auto got = decode_frame(R"({"type":"ping","t":{"a":[1,"x"]}})");
  CHECK(std::get<ping_in>(std::get<client_frame>(got)).t == R"({"a":[1,"x"]})");
  CHECK(std::get<ping_in>(std::get<client_frame>(decode_frame(R"({"type":"ping"})"))).t.empty());
}

TEST_CASE("bodies are checked field by field", "[net][decode]") {
  CHECK(decode_signup(R"({"username":"ada","password":"12345678"})")->username == "ada");
  CHECK(decode_signup("").error().why == code::invalid_json);
  CHECK(decode_signup(R"({"username":"ada"})").error().detail.find("password") == 0);
  CHECK(decode_signup(R"({"username":")" + std::string(65, 'x') + R"(","password":"x"})")
            .error()
            .detail.find("username") == 0);
  CHECK(decode_login(R"({"username":"ada","password":")" + std::string(1025, 'x') + R"("})")
            .error()
            .detail.find("password") == 0);
  CHECK(decode_refresh("", "").error().why == code::invalid_json);
  CHECK(decode_refresh("{}", "").error().detail.find("refresh_token") == 0);
  CHECK(decode_refresh("", "cookie")->refresh_token == "cookie");
  CHECK(decode_refresh(R"({"refresh_token":"body","nonce":"n"})", "cookie")->refresh_token == "body");
  CHECK(decode_logout("", "")->refresh_token.empty());
  CHECK(decode_change_me(R"({"settings":{"a":"\u0000"}})").error().detail.find("settings") == 0);
  CHECK(decode_change_me(R"({"settings":[]})").error().detail.find("settings") == 0);
  CHECK(decode_change_me(R"({"settings":{"a":1}})")->settings == R"({"a":1})");
  CHECK(decode_change_me(R"({"settings":{"a":")" + std::string(70'000, 'x') + R"("}})").error().why ==
        code::too_large);
  CHECK(decode_create_room("")->title.empty());
  CHECK(decode_create_room(R"({"title":")" + std::string(201, 'x') + R"("})").error().detail.find("title") ==
        0);
}

TEST_CASE("which dead letters are meant is said by mailbox and reason, and by nothing misspelt",
          "[net][decode]") {
  using actors::api::dead_act;
  const auto all = decode_treat_all_dead(dead_act::purge, "");
  REQUIRE(all);
  CHECK(all->how == dead_act::purge);
  CHECK_FALSE(all->which.mailbox);
  const auto some =
      decode_treat_all_dead(dead_act::requeue, R"({"mailbox":"m","reason":"expired","cursor":"7"})");
  REQUIRE(some);
  CHECK(some->which.mailbox == "m");
  CHECK(some->which.reason == "expired");
  CHECK(some->cursor == "7");
  for (const auto* bad :
       {R"({"reason":"posion"})", R"({"reason":7})", R"({"mailbox":""})", R"({"mailbox":[]})"}) {
    CAPTURE(bad);
    CHECK(decode_treat_all_dead(dead_act::purge, bad).error().why == code::invalid_field);
  }
  CHECK(decode_treat_all_dead(dead_act::purge, "[]").error().why == code::invalid_json);
  CHECK(decode_list_dead(*parse_target("/x?mailbox=a%2Fb&reason=poison"))->which.mailbox == "a/b");
  CHECK(decode_list_dead(*parse_target("/x?reason=other")).error().why == code::invalid_field);
  CHECK(decode_list_dead(*parse_target("/x?limit=201")).error().why == code::invalid_field);
  CHECK(decode_list_entries(*parse_target("/x")).error().detail.find("mailbox") == 0);
  CHECK(decode_list_entries(*parse_target("/x?mailbox=m&limit=200"))->limit == 200);
  CHECK(decode_list_mailboxes(*parse_target("/x?cursor=m"))->cursor == "m");
}

TEST_CASE("what is scheduled has a time, or a crontab line and its zone", "[net][decode]") {
  const auto room = uuid::v7(1);
  const std::string start = R"({"id":"01890a5d-ac96-774b-bcce-b302099a8057","text":"t")";
  const auto decoded = [&](const std::string& rest) { return decode_schedule(room, start + rest + "}"); };
  const auto once = decoded(R"(,"at":"2026-01-31T09:00:00+09:00","agents":[])");
  REQUIRE(once);
  CHECK(once->room == room);
  CHECK(once->at == parse_rfc3339("2026-01-31T00:00:00Z"));
  CHECK(once->agents->empty());
  const auto weekly = decoded(R"(,"cron":"0 9 * * 1","zone":"Asia/Seoul")");
  REQUIRE(weekly);
  CHECK_FALSE(weekly->at);
  CHECK(weekly->cron == "0 9 * * 1");
  CHECK(weekly->zone == "Asia/Seoul");
  for (const auto* bad : {"", R"(,"at":"tomorrow")", R"(,"at":5)", R"(,"at":"1969-12-31T00:00:00Z")",
                          R"(,"cron":"0 9 * * 1")", R"(,"zone":"UTC")", R"(,"cron":"","zone":"UTC")",
                          R"(,"at":"2026-01-31T09:00:00Z","cron":"0 9 * * 1","zone":"UTC")",
                          R"(,"cron":"0 9 * * 1\u0000","zone":"UTC")"}) {
    CAPTURE(bad);
    CHECK(decoded(bad).error().why == code::invalid_field);
  }
  for (const auto* neither : {"", R"(,"at":null)"})
    CHECK(decoded(neither).error().detail.starts_with("at "));
  const auto of = [&](std::size_t cron, std::size_t zone) {
    return bool(
        decoded(R"(,"cron":")" + std::string(cron, '1') + R"(","zone":")" + std::string(zone, 'a') + "\""));
  };
  CHECK(of(limits::cron_chars, limits::zone_chars));
  CHECK_FALSE(of(limits::cron_chars + 1, limits::zone_chars));
  CHECK_FALSE(of(limits::cron_chars, limits::zone_chars + 1));
}

TEST_CASE("queries are numbers within bounds", "[net][decode]") {
  const auto events = [](const std::string& query) {
    return decode_get_events(id_of(some_id), *parse_target("/x?" + query));
  };
  CHECK(events("")->limit == 100);
  CHECK(events("after=0&limit=500")->after == 0);
  CHECK(events("before=7")->before == 7);
  for (const auto* bad : {"after=", "after=-1", "after=x", "after=1%00", "limit=0", "limit=501",
                          "after=1&before=2", "after=18446744073709551616"}) {
    CAPTURE(bad);
    const auto where = parse_target(std::string{"/x?"} + bad);
    CHECK((!where || !decode_get_events(id_of(some_id), *where)));
  }
}

// Six characters of text were taken for a NUL.
TEST_CASE("a ping may carry a text that looks like an escape", "[net][decode]") {
  const auto got = decode_frame(R"({"type":"ping","t":"\\u0000"})");
  const auto* frame = std::get_if<client_frame>(&got);
  REQUIRE(frame != nullptr);
  CHECK(std::get<ping_in>(*frame).t == R"("\\u0000")");
  CHECK(refused(R"({"type":"ping","t":{"\u0000":1}})").why == code::invalid_field);
}

// The parser took the NUL for the end of the text, and what stood behind it for nothing.
TEST_CASE("JSON ends where its bytes end, and not at a NUL", "[net][decode]") {
  const std::string ping = R"({"type":"ping"})";
  for (const std::string& rest : {std::string(1, '\0'), std::string("\0{}", 3), std::string("\0\xff", 2)})
    CHECK(refused(ping + rest).why == code::invalid_json);
  const auto body = decode_create_room(std::string("{}\0", 3));
  REQUIRE_FALSE(body);
  CHECK(body.error().why == code::invalid_json);
}

TEST_CASE("an address never leaves its folder", "[net][url]") {
  for (const auto* bad :
       {"", "x", "*", "/..", "/../x", "/a/../b", "/a/..", "/%2e%2e/x", "/%2E./x", "/..%2fx", "/%252e%252e/x",
        "/..%5cx", "/a%00b", "/%c0%ae%c0%ae/x", "/%", "/%g0", "/a/./b", "/x#y", "http://host/../x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_target(bad));
  }
  CHECK(parse_target("/a%20b/c?x=1+2&y")->path == "/a b/c");
  CHECK(*parse_target("/?x=1+2&y")->find("x") == "1 2");
  CHECK(parse_target("http://host/x")->path == "/x");
  // A host ends there, too: to whoever stands in front the path was empty, and here it was what came behind
  // the ?.
  CHECK_FALSE(parse_target("http://host?y/admin"));
  CHECK(parse_target("/a..b/...c")->path == "/a..b/...c");
}
