// `maru mailbox …` and its API on the real server: what waits, what was given up, and the ways back.

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "storage/store.hpp"
#include "tests/support/command.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

const std::string dead_path = "/api/v1/admin/dead-letters";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr std::size_t pieces = 20;

// A server whose agent is busy with one question while another has expired. What comes after is answered at
// once.
struct expired {
  house h{MARU_BINARY, test::answers(1000, 100), options()};
  account ann = h.person("ann");
  std::string room = h.room(ann);
  std::unique_ptr<chat_client> device = h.device(ann, room);
  std::string first = device->send(room, "first"), second = device->send(room, "second");
  std::string letter = ended(*device, second)["data"]["answer"];
  std::string mailbox = "agent/" + room + "/maru";

  expired() { h.model.behave(test::answers(pieces, 5)); }

  static server_options options() {
    server_options out;
    out.set = {"limits.question_expires_seconds=1"};
    return out;
  }
  void stop_first() { acked(*device, device->stop(room, acked(*device, first)["answers"][0]["answer"])); }
  [[nodiscard]] ran mailbox_command(std::vector<std::string> order) const {
    order.insert(order.begin(), {MARU_BINARY, "mailbox"});
    order.insert(order.begin() + 3, {"--set", "server.data=" + h.server.data().string()});
    return run(order);
  }
  [[nodiscard]] json told(std::vector<std::string> order) const {
    order.emplace_back("--json");
    const auto how = mailbox_command(std::move(order));
    CAPTURE(how.err);
    REQUIRE(how.status == 0);
    return json::parse(how.out);
  }
};

} // namespace

TEST_CASE("the mailbox commands do the same with a server and without one") {
  const bool with_server = GENERATE(true, false);
  CAPTURE(with_server);
  expired e;
  CHECK(e.device->wrong().empty());
  if (!with_server) REQUIRE(e.h.server.terminate() == 0);

  const auto boxes = e.told({"list"});
  REQUIRE(boxes.size() == 1);
  CHECK(boxes[0]["mailbox"] == e.mailbox);
  CHECK(boxes[0]["depth"] == 1);
  CHECK(has(e.mailbox_command({"list"}).out, e.mailbox));
  const auto entries = e.told({"show", e.mailbox});
  REQUIRE(entries.size() == 1);
  CHECK(entries[0]["id"] == acked(*e.device, e.first)["answers"][0]["answer"]);
  CHECK_FALSE(entries[0].contains("body"));

  const auto dead = e.told({"dead"});
  REQUIRE(dead.size() == 1);
  CHECK(dead[0]["id"] == e.letter);
  CHECK(dead[0]["reason"] == "expired");
  CHECK(e.told({"dead", "--reason", "poison"}).empty());
  CHECK(e.told({"dead", "--mailbox", e.mailbox, "--reason", "expired"}).size() == 1);
  const auto shown = e.mailbox_command({"show", e.letter});
  CHECK(has(shown.out, "asker: " + e.ann.id));
  CHECK_FALSE(has(shown.out, "second")); // what was asked is not the operator's

  // The agent is free, or what is requeued expires anew.
  if (with_server) e.stop_first();
  const auto how = e.mailbox_command({"requeue", e.letter});
  CAPTURE(how.err);
  REQUIRE(how.status == 0);
  CHECK(has(how.out, "Requeued; maru answers it as "));
  CHECK(e.told({"dead"}).empty());
  const auto again = e.mailbox_command({"requeue", e.letter});
  CHECK(again.status == 1);
  CHECK(has(again.err, "there is no such dead letter"));
  if (!with_server) e.h.server.start();
  if (!with_server) REQUIRE(e.device->connect());
  const auto fresh = how.out.substr(how.out.rfind(' ') + 1, 36);
  REQUIRE(e.device->wait([&] { return e.device->end_of(e.room, fresh) != nullptr; }));
  CHECK((*e.device->end_of(e.room, fresh))["kind"] == "answer");
  CHECK(e.device->wrong().empty());
}

TEST_CASE("a scheduled message is shown and purged by command, with a server and without one") {
  const bool with_server = GENERATE(true, false);
  house h{MARU_BINARY};
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const json wish{{"id", "01890a5d-ac96-774b-bcce-b302099a8057"},
                  {"text", "secret"},
                  {"cron", "0 9 * * 1"},
                  {"zone", "UTC"}};
  const auto kept = h.post(ann, "/api/v1/rooms/" + room + "/schedule", wish);
  REQUIRE(kept.status == 201);
  const std::string id = kept.body["schedule"];
  if (!with_server) REQUIRE(h.server.terminate() == 0);
  const auto mailbox = [&](std::vector<std::string> order) {
    order.insert(order.begin(), {MARU_BINARY, "mailbox"});
    order.insert(order.begin() + 3, {"--set", "server.data=" + h.server.data().string()});
    return run(order);
  };
  CHECK(has(mailbox({"list"}).out, "room/" + room));
  const auto shown = mailbox({"show", "room/" + room}).out;
  CHECK(has(shown, id));
  CHECK(has(shown, "scheduled_message"));
  CHECK_FALSE(has(shown, "secret"));
  CHECK(mailbox({"purge", "--all", "--waiting"}).status == 2);
  CHECK(mailbox({"purge", id}).status == 1); // no dead letter
  CHECK(mailbox({"purge", id, "--waiting"}).out == "Purged 1 scheduled message.\n");
  CHECK(mailbox({"purge", id, "--waiting"}).status == 1);
  CHECK(mailbox({"list"}).out.empty());
  if (with_server) {
    REQUIRE(h.server.terminate() == 0);
    CHECK(has(h.server.log(), "the operator purged scheduled message " + id + " of room/" + room));
  }
}

TEST_CASE("what cannot be done to dead letters is said, and wrong usage ends with status 2") {
  expired e;
  using order = std::vector<std::string>;
  for (const auto& wrong :
       {order{"requeue"}, order{"purge"}, order{"purge", "nonsense"}, order{"purge", e.letter, "--all"},
        order{"purge", e.letter, "--reason", "expired"}, order{"purge", "--reason", "expired"},
        order{"dead", "--reason", "boredom"}, order{"show"}, order{"list", "x"}, order{"bury"}}) {
    CAPTURE(wrong);
    CHECK(e.mailbox_command(wrong).status == 2);
  }
  CHECK(has(e.mailbox_command({"show", "nonsense"}).err, "neither a mailbox nor an id"));
  CHECK(e.told({"dead"}).size() == 1);
  const auto nobody = e.mailbox_command({"purge", "01890a5d-ac96-774b-bcce-b302099a8057"});
  CHECK(nobody.status == 1);
  CHECK(has(nobody.err, "there is no such dead letter"));
  CHECK(e.mailbox_command({"purge", "--all", "--reason", "poison"}).out == "Purged 0 dead letters.\n");
  CHECK(e.mailbox_command({"purge", e.letter}).out == "Purged 1 dead letter.\n");
  CHECK(e.told({"dead"}).empty());
  REQUIRE(e.h.server.terminate() == 0);
  CHECK(has(e.h.server.log(), "the operator purged dead letter " + e.letter + " of " + e.mailbox));
}

TEST_CASE("the ways back are for admins alone, and the log says who took them") {
  expired e;
  const auto bob = e.h.person("bob");
  const auto call = [&](const account& who, std::string_view method, const std::string& path) {
    return api(e.h.address(), who.access_token, method, path);
  };
  for (const auto& [method, path] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/api/v1/admin/mailboxes"},
                                                        {"GET", "/api/v1/admin/mailboxes/entries?mailbox=x"},
                                                        {"GET", dead_path},
                                                        {"GET", dead_path + "/" + e.letter},
                                                        {"DELETE", dead_path + "/" + e.letter},
                                                        {"POST", dead_path + "/" + e.letter + "/requeue"},
                                                        {"POST", dead_path + "/requeue"},
                                                        {"POST", dead_path + "/purge"}}) {
    CAPTURE(method, path);
    CHECK(call(bob, method, path).status == 403);
    CHECK(api(e.h.address(), "", method, path).status == 401);
  }
  CHECK(call(e.ann, "GET", dead_path).body["dead_letters"].size() == 1);
  const auto how = call(e.ann, "POST", dead_path + "/requeue");
  CHECK(how.status == 200);
  CHECK(how.body["done"] == 1);
  CHECK(how.body["next"].is_null());
  CHECK(call(e.ann, "POST", dead_path + "/" + e.letter + "/requeue").status == 404);
  REQUIRE(e.h.server.terminate() == 0);
  CHECK(has(e.h.server.log(), "the admin 'ann' (" + e.ann.id + ") requeued 1 dead letters"));
}

TEST_CASE("a failed answer is asked for anew over the socket and by HTTP") {
  expired e;
  const auto path = "/api/v1/rooms/" + e.room + "/answers/" + e.letter + "/retry";
  const json body{{"id", "01890a5d-ac96-774b-bcce-b302099a8057"}};
  const auto bob = e.h.person("bob");
  CHECK(e.h.post(bob, path, body).status == 404);
  e.stop_first();
  const auto made = e.h.post(e.ann, path, body);
  REQUIRE(made.status == 202);
  CHECK(made.body["duplicate"] == false);
  CHECK(e.h.post(e.ann, path, body).body["duplicate"] == true);
  CHECK(e.h.post(e.ann, path, {{"id", e.letter}}).code() == "conflict");
  const std::string fresh = made.body["answers"][0]["answer"];
  REQUIRE(e.device->wait([&] { return e.device->end_of(e.room, fresh) != nullptr; }));
  CHECK((*e.device->end_of(e.room, fresh))["data"]["text"] == test::expected_answer("second", pieces));
  CHECK(e.device->wrong().empty());
}

TEST_CASE("hundreds of dead letters are listed, requeued and purged part by part") {
  constexpr std::size_t count = 2 * limits::mailboxes_page + 50;
  expired e;
  REQUIRE(e.mailbox_command({"purge", "--all"}).status == 0);
  e.stop_first();
  REQUIRE(e.h.server.terminate() == 0);
  {
    storage::open_options options;
    options.url = "sqlite:" + (e.h.server.data() / "maru.db").string();
    options.threads = storage::threading::manual;
    const auto db = storage::open(std::move(options));
    const auto epoch = db->claim_shards("test");
    for (std::size_t i = 1; i <= count; ++i) {
      storage::mailbox_entry entry;
      entry.id = uuid::v7(static_cast<std::int64_t>(i));
      entry.mailbox = actors::mailbox_of(entry.id, "maru"); // of a room that is not there
      entry.kind = "question";
      const auto shard = storage::shard_of(entry.id);
      db->submit({{shard, epoch},
                  {storage::enqueue{entry}, storage::bury_entry{entry.mailbox, entry.id, "poison", 1}}},
                 {});
    }
    while (storage::pump(*db) > 0) {
    }
  }
  const bool with_server = GENERATE(true, false);
  CAPTURE(with_server);
  if (with_server) e.h.server.start();
  CHECK(e.told({"dead"}).size() == count);
  const auto refused = e.mailbox_command({"requeue", "--all", "--json"});
  CHECK(refused.status == 1);
  CHECK(json::parse(refused.out)["refused"].size() == count);
  CHECK(json::parse(refused.out)["done"] == 0);
  CHECK(e.told({"dead"}).size() == count);
  CHECK(e.mailbox_command({"purge", "--all", "--reason", "poison"}).out ==
        "Purged " + std::to_string(count) + " dead letters.\n");
  CHECK(e.told({"dead"}).empty());
}

} // namespace maru::tests
