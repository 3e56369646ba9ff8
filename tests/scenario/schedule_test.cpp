// What a room keeps for later: taken once, at its time or late, whatever falls meanwhile.

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "storage/sqlite_statement.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;

namespace {

namespace api = actors::api;

constexpr std::int64_t second_ms = 1'000, minute_ms = 60'000, hour_ms = 60 * minute_ms, day_ms = 24 * hour_ms;
constexpr std::int64_t a_while_ms = 10'000; // more than any backoff of a crash

std::int64_t at_utc(const std::string& text) { return parse_rfc3339(text).value(); }

refusal refused(const api::reply& how) {
  const auto* why = std::get_if<refusal>(&how);
  return why != nullptr ? *why : refusal{};
}

struct scheduling : asking {
  using asking::asking;

  [[nodiscard]] std::int64_t now() { return w.rig().time().unix_ms(); }
  // Nobody is awake meanwhile.
  void skip_to(std::int64_t unix_ms) { w.rig().time().advance(unix_ms - now()); }

  [[nodiscard]] api::schedule_message wish(const std::string& text) const {
    api::schedule_message out;
    out.key = uuid::v7(0);
    out.id = out.key.str();
    out.room = room;
    out.text = text;
    out.agents.emplace();
    return out;
  }
  [[nodiscard]] api::schedule_message once(const std::string& text, std::int64_t in_ms) {
    auto out = wish(text);
    out.at = now() + in_ms;
    return out;
  }
  [[nodiscard]] api::schedule_message repeated(const std::string& text, const std::string& cron,
                                               const std::string& zone = "UTC") const {
    auto out = wish(text);
    out.cron = cron;
    out.zone = zone;
    return out;
  }
  uuid keep(api::schedule_message what) {
    return std::get<api::posted>(w.call(w.ana, std::move(what))).event;
  }
  api::reply drop(const uuid& schedule) { return w.call(w.ana, api::cancel_scheduled{room, schedule}); }
  void send_drop(const uuid& schedule, std::optional<api::reply>& to) {
    caf::anon_send(w.api(), w.ana.str(), api::request{api::cancel_scheduled{room, schedule}},
                   api::replied{[&to](api::reply how) { to = std::move(how); }});
    w.settle();
  }
  std::vector<api::scheduled_item> listed() {
    return std::get<api::scheduled_view>(w.call(w.ana, api::list_scheduled{room})).items;
  }
  std::vector<nlohmann::json> messages(const std::string& kind = "message") {
    std::vector<nlohmann::json> out;
    for (const auto& e : w.events(room))
      if (e.kind == kind) {
        out.push_back(nlohmann::json::parse(e.data));
        out.back()["sent"] = e.at;
        out.back()["by"] = e.author.name;
      }
    return out;
  }
};

} // namespace

TEST_CASE("a scheduled message is posted at its time in its author's name, and its agents answer",
          "[scenario][schedule]") {
  scheduling a;
  auto wish = a.once("good morning", hour_ms);
  wish.agents.reset();
  const auto id = a.keep(wish);
  REQUIRE(a.listed().size() == 1);
  CHECK(a.listed()[0].id == id);
  CHECK(a.listed()[0].author == a.w.ana);
  CHECK(a.listed()[0].text == "good morning");
  a.w.advance(hour_ms - 2 * second_ms);
  CHECK(a.messages().empty());
  a.w.advance(4 * second_ms);
  const auto all = a.messages();
  REQUIRE(all.size() == 1);
  CHECK(all[0]["text"] == "good morning");
  CHECK(all[0]["by"] == "ana");
  CHECK(all[0]["scheduled"]["schedule"] == id.str());
  CHECK(all[0]["scheduled"]["at"] == rfc3339(*wish.at));
  CHECK_FALSE(all[0].contains("client_id"));
  a.answer("good morning, ana");
  CHECK(a.w.ends(a.room).size() == 1);
  CHECK(a.listed().empty());
  CHECK(a.w.entries(a.room).empty());
  CHECK(a.w.violations().empty());
  for (const auto kind : {mailbox_kind::agent, mailbox_kind::room}) {
    CHECK(a.w.counts->value(metric::mailbox_enqueued, static_cast<std::size_t>(kind)) == 1);
    CHECK(a.w.counts->value(metric::mailbox_handled, static_cast<std::size_t>(kind)) == 1);
  }
}

TEST_CASE("a resent schedule is the first one, and another under its id is a conflict",
          "[scenario][schedule]") {
  scheduling a;
  const auto wish = a.once("text", hour_ms);
  const auto id = a.keep(wish);
  auto other = wish;
  other.text = "another";
  if (GENERATE(false, true)) a.w.restart();
  const auto again = std::get<api::posted>(a.w.call(a.w.ana, wish));
  CHECK(again.event == id);
  CHECK(again.duplicate);
  CHECK(refused(a.w.call(a.w.ana, other)).why == code::conflict);
  a.w.advance(hour_ms + 2 * second_ms);
  // Also when its time is over.
  CHECK(std::get<api::posted>(a.w.call(a.w.ana, wish)).event == id);
  CHECK(a.messages().size() == 1);
  CHECK(a.w.entries(a.room).empty());
}

TEST_CASE("what is due together is posted in the order of its times", "[scenario][schedule]") {
  scheduling a;
  for (int i = 9; i >= 0; --i)
    a.keep(a.once(std::to_string(i), minute_ms + i));
  a.w.advance(minute_ms + 10 * second_ms);
  const auto all = a.messages();
  REQUIRE(all.size() == 10);
  for (std::size_t i = 0; i < all.size(); ++i)
    CHECK(all[i]["text"] == std::to_string(i));
}

TEST_CASE("what was due while the process was down is posted once, late; of what is repeated no turn is made "
          "up for",
          "[scenario][schedule]") {
  scheduling a;
  a.keep(a.once("once", hour_ms));
  a.keep(a.repeated("hourly", "0 * * * *"));
  a.skip_to(a.now() + 3 * day_ms);
  a.w.restart();
  a.w.advance(3 * second_ms);
  CHECK(a.messages().size() == 2);
  REQUIRE(a.listed().size() == 1);
  CHECK(a.listed()[0].at > a.now());
  CHECK(a.listed()[0].at <= a.now() + hour_ms);
  a.skip_to(a.listed()[0].at);
  a.w.advance(2 * second_ms);
  CHECK(a.messages().size() == 3);
}

TEST_CASE("a turn is taken once, whether the process is killed before its commit or after it",
          "[scenario][schedule]") {
  scheduling a;
  const bool repeats = GENERATE(false, true), committed = GENERATE(false, true);
  if (repeats)
    a.keep(a.repeated("text", "0 * * * *"));
  else
    a.keep(a.once("text", minute_ms));
  const auto due = a.listed()[0].at;
  a.skip_to(due);
  if (committed) {
    a.w.probe = [&](std::string_view place) {
      if (place == "room.committed") throw std::runtime_error("killed");
    };
  } else {
    a.w.store().shut();
  }
  a.w.advance(2 * second_ms);
  if (!committed) CHECK(a.w.store().held() > 0);
  a.w.mend();
  a.w.restart();
  a.w.advance(5 * second_ms);
  CHECK(a.messages().size() == 1);
  CHECK(a.listed().size() == (repeats ? 1 : 0));
}

TEST_CASE("wherever an actor falls, a turn is taken once and answered once", "[scenario][schedule]") {
  const std::string place =
      GENERATE("room.schedule", "room.scheduled", "room.due", "room.deliver", "room.committed", "room.load",
               "agent.enqueued", "agent.context", "user.command", "api.take");
  CAPTURE(place);
  scheduling a;
  a.d->lose();
  a.w.advance(4LL * limits::room_idle_ms); // nobody watches: the room is started for it
  REQUIRE_FALSE(a.w.lives("rooms", a.room.str()));
  auto wish = a.once("text", minute_ms);
  wish.agents.reset();
  a.w.crash_at(place);
  caf::anon_send(a.w.api(), a.w.ana.str(), api::request{wish}, api::replied{[](const api::reply&) {}});
  a.w.advance(a_while_ms);
  a.w.call(a.w.ana, wish);
  a.w.advance(minute_ms + a_while_ms);
  CHECK(a.messages().size() == 1);
  if (a.model.open_calls() == 0) a.w.advance(a_while_ms);
  a.answer("text");
  CHECK(a.w.ends(a.room).size() == 1);
  CHECK(a.w.entries(a.room).empty());
  CHECK(a.w.crashes == 1);
  CHECK(a.w.violations().empty());
}

TEST_CASE("what is repeated in a time zone keeps its time on the clock when that is put back",
          "[scenario][schedule]") {
  scheduling a;
  a.skip_to(at_utc("2025-10-24T12:00:00Z"));
  a.w.advance(second_ms);
  a.keep(a.repeated("nine", "0 9 * * *", "Europe/Berlin"));
  for (const auto* turn : {"2025-10-25T07:00:00Z", "2025-10-26T08:00:00Z", "2025-10-27T08:00:00Z"}) {
    CHECK(rfc3339(a.listed().at(0).at) == rfc3339(at_utc(turn)));
    a.skip_to(at_utc(turn));
    a.w.advance(2 * second_ms);
    CHECK(a.messages().back()["scheduled"]["at"] == rfc3339(at_utc(turn)));
  }
  CHECK(a.messages().size() == 3);
}

TEST_CASE("of a drop and a delivery the one that is ordered first holds, and the later is told so",
          "[scenario][schedule]") {
  scheduling a;
  const auto id = a.keep(a.once("text", minute_ms));
  std::optional<api::reply> how;
  SECTION("the drop comes first") {
    a.w.store().shut();
    a.send_drop(id, how);
    a.w.advance(minute_ms + 3 * second_ms);
    CHECK_FALSE(how);
    a.w.store().open();
    a.w.advance(3 * second_ms);
    CHECK(std::holds_alternative<api::posted>(how.value()));
    CHECK(a.messages().empty());
    CHECK(refused(a.drop(id)).why == code::not_found);
  }
  SECTION("the delivery comes first") {
    a.w.advance(minute_ms - 2 * second_ms);
    a.w.store().shut();
    a.w.advance(5 * second_ms);
    a.send_drop(id, how);
    CHECK_FALSE(how); // what it is told rests on what is on disk
    a.w.store().open();
    a.w.settle();
    CHECK(refused(how.value()).why == code::not_found);
    CHECK(a.messages().size() == 1);
  }
  SECTION("the delivery comes first, and the disk does not take it") {
    a.w.advance(minute_ms - 2 * second_ms);
    a.w.store_fault = [](std::string_view operation) {
      return operation == "commit" ? storage::failure::full : storage::failure::none;
    };
    a.w.advance(3 * second_ms);
    a.w.store_fault = nullptr;
    CHECK(std::holds_alternative<api::posted>(a.drop(id)));
    a.w.advance(5 * second_ms);
    CHECK(a.messages().empty());
  }
  CHECK(a.w.entries(a.room).empty());
}

TEST_CASE("what is repeated ends when it is dropped, by its author or the room's owner",
          "[scenario][schedule]") {
  scheduling a;
  const auto bob = a.w.add_user("bob"), eve = a.w.add_user("eve");
  a.w.add_member(a.room, bob);
  a.w.add_member(a.room, eve);
  a.w.restart();
  const auto id = std::get<api::posted>(a.w.call(bob, a.repeated("text", "0 * * * *"))).event;
  a.skip_to(a.listed().at(0).at);
  a.w.advance(2 * second_ms);
  CHECK(a.messages().size() == 1);
  CHECK(refused(a.w.call(eve, api::cancel_scheduled{a.room, id})).why == code::forbidden);
  CHECK(refused(a.w.call(a.w.add_user("mallory"), api::cancel_scheduled{a.room, id})).why == code::not_found);
  const auto& by = GENERATE(true, false) ? bob : a.w.ana;
  CHECK(std::holds_alternative<api::posted>(a.w.call(by, api::cancel_scheduled{a.room, id})));
  a.skip_to(a.now() + day_ms);
  a.w.advance(5 * second_ms);
  CHECK(a.messages().size() == 1);
}

TEST_CASE("while there is no place for its question, a scheduled message is postponed and not lost",
          "[scenario][schedule]") {
  const bool by_person = GENERATE(true, false);
  scheduling a({"maru"},
               [&](config::settings& s) { s.limits.questions_waiting_per_user = by_person ? 1 : 0; });
  const std::size_t many = by_person ? 1 : limits::agent_questions_waiting;
  for (std::size_t i = 0; i < many; ++i)
    a.ask("question");
  auto wish = a.once("scheduled", minute_ms);
  wish.agents.reset();
  a.keep(wish);
  a.w.advance(10 * minute_ms);
  CHECK(a.messages().size() == many);
  CHECK(a.w.entries(a.room).size() == 1);
  CHECK(a.w.counts->value(metric::mailbox_postponed, 1) > 3);
  CHECK(a.w.counts->value(metric::mailbox_postponed, 1) < 30); // ever more slowly
  a.answer("text");
  a.w.advance(2LL * limits::postponed_most_ms);
  REQUIRE(a.messages().size() == many + 1);
  CHECK(a.messages().back()["scheduled"]["at"] == rfc3339(*wish.at)); // what it was for
  CHECK(a.w.entries(a.room).empty());
}

TEST_CASE("what its author may not say any more is refused: the room is told, the operator can take it up",
          "[scenario][schedule]") {
  bool gone = false;
  scheduling a({"maru"}, [&](config::settings& s) {
    if (gone) std::erase_if(s.agents, [](const auto& agent) { return agent.name == "second"; });
  });
  const auto bob = a.w.add_user("bob");
  a.w.add_member(a.room, bob);
  a.w.restart();
  const bool no_agent = GENERATE(true, false);
  auto wish = a.repeated("text", "0 * * * *");
  wish.agents = std::vector<std::string>{"second"};
  const auto id = std::get<api::posted>(a.w.call(bob, wish)).event;
  if (!no_agent) a.w.remove_member(a.room, bob);
  gone = no_agent;
  a.skip_to(a.now() + hour_ms);
  a.w.restart();
  a.w.advance(3 * second_ms);
  CHECK(a.messages().empty());
  const auto told = a.messages("system");
  REQUIRE(told.size() == 1);
  CHECK(told[0]["code"] == "not_sent");
  CHECK(told[0]["scheduled"]["schedule"] == id.str());
  CHECK(told[0]["author"]["name"] == "bob");
  CHECK(told[0]["reason"]["code"] == (no_agent ? "no_such_agent" : "not_a_member"));
  REQUIRE(a.w.dead().size() == 1);
  CHECK(a.w.dead()[0].reason == "refused");
  CHECK(a.w.dead()[0].entry.kind == actors::scheduled_kind);
  CHECK(a.listed().empty());

  if (!no_agent) a.w.add_member(a.room, bob);
  gone = false;
  a.w.restart();
  const auto how = a.w.operate(api::treat_dead{api::dead_act::requeue, id});
  CHECK(std::get<api::posted>(how).event == id);
  CHECK(a.w.dead().empty());
  a.w.advance(3 * second_ms);
  CHECK(a.messages().size() == 1); // due at once, and goes on
  CHECK(a.listed().size() == 1);
  CHECK(refused(a.w.operate(api::treat_dead{api::dead_act::requeue, id})).why == code::not_found);
}

TEST_CASE("a scheduled message that ends its room again and again is poison; the room lives on",
          "[scenario][schedule]") {
  scheduling a;
  a.keep(a.once("poison", minute_ms));
  a.keep(a.once("harmless", minute_ms + 1));
  a.w.crash_always("room.deliver");
  for (int i = 0; i < 60 && a.w.crashes < limits::poison_failures; ++i)
    a.w.advance(a_while_ms);
  a.w.mend();
  a.w.advance(3 * a_while_ms);
  REQUIRE(a.w.dead().size() == 1);
  CHECK(a.w.dead()[0].reason == "poison");
  REQUIRE(a.messages().size() == 1);
  CHECK(a.messages()[0]["text"] == "harmless");
  CHECK(a.messages("system").at(0)["reason"]["code"] == "poison");
}

TEST_CASE("a crash of the room at another time counts against nothing that is scheduled",
          "[scenario][schedule]") {
  scheduling a;
  a.keep(a.once("text", hour_ms));
  a.w.crash_at("room.post");
  a.d->send(a.room, "crash", std::vector<std::string>{});
  a.w.advance(a_while_ms);
  REQUIRE(a.w.crashes == 1);
  a.w.advance(hour_ms);
  CHECK(a.messages().size() == 2);
  CHECK(a.w.counts->value(metric::mailbox_failures) == 0);
}

TEST_CASE("what cannot be scheduled is refused in words", "[scenario][schedule]") {
  scheduling a;
  const auto why = [&](const api::schedule_message& what) {
    const auto how = refused(a.w.call(a.w.ana, what));
    return std::string(word(how.why)) + " " + how.detail;
  };
  CHECK(why(a.once("x", -2 * minute_ms)) == "invalid_field at: is over");
  CHECK(why(a.once("x", 400 * day_ms)) == "invalid_field at: more than 366 days ahead");
  CHECK(why(a.repeated("x", "* * * * *")) == "invalid_field cron: at most once in 5 minutes");
  CHECK(why(a.repeated("x", "0,59 * * * *")) == "invalid_field cron: at most once in 5 minutes");
  CHECK(why(a.repeated("x", "0 0 30 2 *")) == "invalid_field cron: this never happens");
  CHECK(why(a.repeated("x", "0 0 29 2 *")) == "invalid_field cron: more than 366 days ahead");
  CHECK(why(a.repeated("x", "nonsense")).starts_with("invalid_field cron: "));
  CHECK(why(a.repeated("x", "0 9 * * *", "../../etc/passwd")).starts_with("invalid_field zone: "));
  CHECK(why(a.repeated("x", "0 9 * * *", "Mars/Olympus")).starts_with("invalid_field zone: "));
  auto wish = a.once("x", minute_ms);
  wish.agents = std::vector<std::string>{"nobody"};
  CHECK(why(wish) == "invalid_field agents: there is no agent 'nobody'");
  CHECK(refused(a.w.call(a.w.add_user("eve"), a.once("x", minute_ms))).why == code::not_found);
  CHECK(refused(a.w.call(a.w.add_user("eve2"), api::list_scheduled{a.room})).why == code::not_found);
  CHECK(a.w.entries(a.room).empty());
}

TEST_CASE("what is scheduled has a bound for each room and each person", "[scenario][schedule]") {
  scheduling a;
  for (std::size_t i = 0; i < limits::scheduled_per_person; ++i)
    a.keep(a.once(std::to_string(i), hour_ms));
  CHECK(refused(a.w.call(a.w.ana, a.once("x", hour_ms))).why == code::quota_exceeded);
  // In another room, too.
  const auto first = a.room;
  a.room = a.w.add_room();
  CHECK(refused(a.w.call(a.w.ana, a.once("x", hour_ms))).why == code::quota_exceeded);
  a.room = first;
  std::vector<uuid> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(a.w.add_user("other " + std::to_string(i)));
    a.w.add_member(a.room, others.back());
  }
  a.w.restart();
  for (std::size_t i = limits::scheduled_per_person; i < limits::scheduled_per_room; ++i)
    std::get<api::posted>(a.w.call(others[i % 2], a.once("x", hour_ms)));
  CHECK(refused(a.w.call(others[2], a.once("x", hour_ms))).why == code::quota_exceeded);
  a.drop(a.listed().front().id);
  std::get<api::posted>(a.w.call(others[2], a.once("x", hour_ms)));
  CHECK(a.w.entries(a.room).size() == limits::scheduled_per_room);
}

TEST_CASE("a message in a time zone that is not there any more is not sent, and the room is told",
          "[scenario][schedule]") {
  scheduling a;
  a.keep(a.repeated("text", "0 * * * *", "Asia/Seoul"));
  a.w.fall();
  storage::sqlite::connection(a.w.database(), storage::sqlite::connection::mode::write)
      .script("UPDATE entries SET body = replace(body, 'Asia/Seoul', 'Asia/Atlantis')");
  a.w.rise();
  REQUIRE(a.w.entries(a.room).at(0).body.find("Atlantis") != std::string::npos);
  a.skip_to(a.now() + hour_ms);
  a.w.restart();
  a.w.advance(3 * second_ms);
  CHECK(a.messages().empty());
  REQUIRE(a.messages("system").size() == 1);
  CHECK(a.messages("system")[0]["reason"]["code"] == "unreadable");
  REQUIRE(a.w.dead().size() == 1);
  CHECK(a.w.dead()[0].reason == "refused");
}

TEST_CASE("whom a scheduled message speaks for has not read what came before it", "[scenario][schedule]") {
  scheduling a;
  const auto bob = a.w.add_user("bob");
  a.w.add_member(a.room, bob);
  a.w.restart();
  std::get<api::posted>(a.w.call(bob, a.once("from bob", minute_ms)));
  api::post_message post = a.message("from ana", std::vector<std::string>{});
  a.w.call(a.w.ana, post);
  a.w.advance(minute_ms + 3 * second_ms);
  REQUIRE(a.messages().size() == 2);
  CHECK(std::get<api::room_view>(a.w.call(bob, api::get_room{a.room})).unread == 2);
}

TEST_CASE("the operator sees what is scheduled, and purges it", "[scenario][schedule]") {
  scheduling a;
  const auto id = a.keep(a.once("secret", hour_ms));
  const auto name = actors::mailbox_of(a.room);
  const auto all = std::get<api::mailboxes_view>(a.w.operate(api::list_mailboxes{})).mailboxes;
  REQUIRE(all.size() == 1);
  CHECK(all[0].mailbox == name);
  CHECK(all[0].due_at == a.listed()[0].at);
  CHECK(std::get<api::entries_view>(a.w.operate(api::list_entries{name, {}, 10})).entries.at(0).id == id);
  CHECK(refused(a.w.call(a.w.ana, api::purge_entry{id})).why == code::forbidden);
  CHECK(std::get<api::treated>(a.w.operate(api::purge_entry{id})).done == 1);
  CHECK(refused(a.w.operate(api::purge_entry{id})).why == code::not_found);
  CHECK(a.w.entries(a.room).empty());
  const auto answer = a.ask("a question");
  CHECK(refused(a.w.operate(api::purge_entry{answer})).why == code::conflict);
}
