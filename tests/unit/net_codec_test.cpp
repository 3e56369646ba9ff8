#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "net/codec.hpp"
#include "net/json_out.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using nlohmann::json;

namespace {

std::unique_ptr<actors::frame_codec> a_codec() { return net::make_codec({}, "1.2.3", "here"); }

actors::delta_fact a_delta(std::uint64_t n, std::string text) {
  return {id_of(some_id), 2, n, 1, std::move(text)};
}

} // namespace

TEST_CASE("any text comes back from its JSON string to the byte", "[net][codec]") {
  std::string all;
  for (int c = 0; c < 128; ++c)
    all.push_back(static_cast<char>(c));
  all += "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \xe2\x80\xa8";
  std::string out;
  net::append_string(out, all);
  CHECK(json::parse(out).get<std::string>() == all);
  CHECK(out.find('\n') == std::string::npos);
}

TEST_CASE("welcome names the server and every limit a client can meet", "[net][codec]") {
  const auto frame = a_codec()->welcome({id_of(some_id), id_of(other_id), "ada", "Ada \"L\""});
  const auto got = json::parse(frame->bytes);
  CHECK(got["type"] == "welcome");
  CHECK(got["session"] == some_id);
  CHECK(got["user"] == other_id);
  CHECK(got["server"] == json{{"version", "1.2.3"}, {"node", "here"}});
  CHECK(got["heartbeat_ms"] == limits::heartbeat_ms);
  CHECK(got["limits"]["message_text_bytes"] == limits::message_text_bytes);
  CHECK(got["limits"]["frame_in_bytes"] == limits::frame_in_bytes);
  CHECK(got["limits"]["questions_waiting_per_user"] == 100);
}

TEST_CASE("an event carries its data as it is kept", "[net][codec]") {
  actors::event_fact fact{7,      id_of(other_id), "message", 1'700'000'000'123,
                          "user", id_of(some_id),  "Ada",     R"({"text":"a\u0001b", "n":1.50})"};
  const auto frame = a_codec()->event(id_of(some_id), fact);
  const auto got = json::parse(frame->bytes);
  CHECK(got["type"] == "event");
  CHECK(got["room"] == some_id);
  CHECK(got["seq"] == 7);
  CHECK(got["at"] == "2023-11-14T22:13:20.123Z");
  CHECK(got["author"] == json{{"kind", "user"}, {"id", some_id}, {"name", "Ada"}});
  CHECK(frame->bytes.find(R"({"text":"a\u0001b", "n":1.50})") != std::string::npos);

  fact.author_kind = "agent";
  fact.author_id = {};
  CHECK_FALSE(json::parse(a_codec()->event(id_of(some_id), fact)->bytes)["author"].contains("id"));
}

TEST_CASE("a room frame is the room as lists have it", "[net][codec]") {
  actors::api::room_view view;
  view.room = {id_of(some_id), "a \"title\"", {"maru"}, id_of(other_id), 5, 9, 1, 1'700'000'000'123};
  view.unread = 2;
  view.read = 7;
  view.members = 3;
  json expected{{"type", "room"},
                {"room", some_id},
                {"id", some_id},
                {"title", "a \"title\""},
                {"agents", {"maru"}},
                {"created_at", "1970-01-01T00:00:00.005Z"},
                {"active_at", "2023-11-14T22:13:20.123Z"},
                {"head", 9},
                {"floor", 1},
                {"read", 7},
                {"unread", 2},
                {"members", 3}};
  CHECK(json::parse(a_codec()->room(view)->bytes) == expected);
  CHECK_FALSE(a_codec()->room(view)->delta);
  view.last = actors::event_fact{9, id_of(other_id), "message", 0, "system", {}, "", R"({"text":"x"})"};
  const auto got = json::parse(a_codec()->room(view)->bytes);
  CHECK(got["last"]["seq"] == 9);
  CHECK(got["last"]["data"] == json{{"text", "x"}});
}

TEST_CASE("a delta says how many pieces it holds only where it is not one", "[net][codec]") {
  auto fact = a_delta(3, "x\ny");
  const auto one = a_codec()->delta(id_of(other_id), fact);
  CHECK_FALSE(json::parse(one->bytes).contains("count"));
  CHECK(one->room == id_of(other_id));
  CHECK(one->delta->n == 3);
  fact.count = 2;
  const auto got = json::parse(a_codec()->delta(id_of(other_id), fact)->bytes);
  CHECK(got == json{{"type", "delta"},
                    {"room", other_id},
                    {"answer", some_id},
                    {"attempt", 2},
                    {"n", 3},
                    {"count", 2},
                    {"text", "x\ny"}});
}

TEST_CASE("acks, answers, snapshots and errors have the shape of the contract", "[net][codec]") {
  const auto codec = a_codec();
  CHECK(json::parse(
            codec->ack({"My-Id", id_of(some_id), 4, id_of(other_id), true, {{id_of(some_id), "maru"}}})
                ->bytes) == json{{"type", "ack"},
                                 {"id", "My-Id"},
                                 {"room", some_id},
                                 {"seq", 4},
                                 {"event", other_id},
                                 {"duplicate", true},
                                 {"answers", json::array({json{{"answer", some_id}, {"agent", "maru"}}})}});
  const actors::answer_fact answer{
      id_of(some_id), id_of(other_id), "maru", 2, actors::answer_state::recovering, 5, "so far"};
  const json fields{{"answer", some_id}, {"question", other_id},  {"agent", "maru"},
                    {"attempt", 2},      {"state", "recovering"}, {"n", 5},
                    {"text", "so far"}};
  auto whole = fields;
  whole["type"] = "answer";
  whole["room"] = some_id;
  CHECK(json::parse(codec->answer(id_of(some_id), answer)->bytes) == whole);
  CHECK(json::parse(codec->opened({id_of(some_id), 9, 3, 1, {answer}})->bytes) ==
        json{{"type", "opened"},
             {"room", some_id},
             {"head", 9},
             {"from", 3},
             {"floor", 1},
             {"answers", json::array({fields})}});
  CHECK(json::parse(codec->error("x", {code::rate_limited, "slow\n", 250})->bytes) ==
        json{{"type", "error"},
             {"id", "x"},
             {"code", "rate_limited"},
             {"message", "slow\n"},
             {"retry_after_ms", 250}});
  CHECK_FALSE(json::parse(codec->error("", {code::invalid_json, "", 0})->bytes).contains("id"));
}
