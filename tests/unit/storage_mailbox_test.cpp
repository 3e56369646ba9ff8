#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

std::vector<mailbox_entry> entries(bench& b, const std::string& mailbox, std::size_t most = 100) {
  std::vector<mailbox_entry> out;
  CHECK(b.look([&](reader& r) { out = r.entries(mailbox, most); }).empty());
  return out;
}

} // namespace

TEST_CASE("numbers grow within a mailbox and never come back") {
  bench b;
  b.must({enqueue{entry_of("a", id_of('n', 1))}, enqueue{entry_of("b", id_of('n', 2))},
          enqueue{entry_of("a", id_of('n', 3))}});
  const auto before = entries(b, "a");
  REQUIRE(before.size() == 2);
  CHECK(before[0].id == id_of('n', 1));
  CHECK(before[0].seq < before[1].seq);
  CHECK(before[0].body == R"({"a":1})");
  CHECK_FALSE(before[0].expires_at);
  b.must(
      {remove_entry{"a", id_of('n', 1)}, remove_entry{"a", id_of('n', 3)}, remove_entry{"b", id_of('n', 2)}});
  b.reopen();
  b.must({enqueue{entry_of("a", id_of('n', 1))}});
  CHECK(entries(b, "a").at(0).seq > before[1].seq);
  CHECK(entries(b, "a", 0).empty());
}

TEST_CASE("an entry is removed once, and by its own mailbox") {
  bench b;
  b.must({enqueue{entry_of("a", id_of('n', 1))}, enqueue{entry_of("b", id_of('n', 1))}});
  CHECK(b.commit({enqueue{entry_of("a", id_of('n', 1))}}).why == failure::conflict);
  b.must({remove_entry{"a", id_of('n', 1)}});
  CHECK(b.commit({remove_entry{"a", id_of('n', 1)}}).why == failure::conflict);
  CHECK(entries(b, "b").size() == 1);
}

TEST_CASE("a mailbox is due when one of its entries is visible") {
  bench b;
  b.must({enqueue{entry_of("late", id_of('n', 1), 200)}, enqueue{entry_of("due", id_of('n', 2), 100)},
          enqueue{entry_of("due", id_of('n', 3), 50)}, enqueue{entry_of("also", id_of('n', 4), 60)}});
  CHECK(b.look([](reader& r) {
           CHECK(r.mailboxes_due(49, 10).empty());
           CHECK(r.mailboxes_due(50, 10) == std::vector<std::string>{"due"});
           CHECK(r.mailboxes_due(199, 10).size() == 2);
           CHECK(r.mailboxes_due(200, 10).size() == 3);
           CHECK(r.mailboxes_due(200, 2).size() == 2);
         }).empty());
  b.must({defer_entry{"due", id_of('n', 2), 300, 2, 3}, defer_entry{"due", id_of('n', 3), 300, 0, 1}});
  CHECK(b.look([](reader& r) {
           CHECK(r.mailboxes_due(200, 10).size() == 2);
           const auto kept = r.entries("due", 10);
           CHECK(kept.at(0).failures == 2);
           CHECK(kept.at(0).losses == 3);
           CHECK(kept.at(0).visible_at == 300);
         }).empty());
  CHECK(b.commit({defer_entry{"due", id_of('n', 9), 300, 0, 0}}).why == failure::conflict);
}

TEST_CASE("a dead letter keeps its entry and its reason, and can be tried afresh") {
  bench b;
  auto entry = entry_of("a", id_of('n', 1), 40);
  entry.failures = 5;
  entry.losses = 2;
  entry.expires_at = 90;
  b.must({enqueue{entry}});
  b.must({bury_entry{"a", id_of('n', 1), "poison", 77}});
  CHECK(b.commit({bury_entry{"a", id_of('n', 1), "poison", 77}}).why == failure::conflict);
  CHECK(entries(b, "a").empty());
  CHECK(b.look([](reader& r) {
           const auto dead = r.dead({}, {}, 10);
           REQUIRE(dead.size() == 1);
           CHECK(dead[0].reason == "poison");
           CHECK(dead[0].at == 77);
           CHECK(dead[0].entry.mailbox == "a");
           CHECK(dead[0].entry.failures == 5);
           CHECK(dead[0].entry.expires_at == 90);
         }).empty());
  b.must({requeue_dead{id_of('n', 1), 500}});
  const auto back = entries(b, "a").at(0);
  CHECK(back.visible_at == 500);
  CHECK(back.failures == 0);
  CHECK(back.losses == 0);
  CHECK(back.body == entry.body);
  CHECK_FALSE(back.expires_at);
  CHECK(b.commit({requeue_dead{id_of('n', 1), 500}}).why == failure::conflict);
  b.must({bury_entry{"a", id_of('n', 1), "poison again", 99}});
  b.must({purge_dead{id_of('n', 1)}});
  CHECK(b.commit({purge_dead{id_of('n', 1)}}).why == failure::conflict);
  CHECK(b.look([](reader& r) { CHECK(r.dead({}, {}, 10).empty()); }).empty());
}

TEST_CASE("entries are paged by their numbers, and mailboxes by their names") {
  bench b;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    auto entry = entry_of("a", id_of('n', n), static_cast<std::int64_t>(100 - n));
    entry.enqueued_at = static_cast<std::int64_t>(n);
    b.must({enqueue{entry}});
  }
  b.must({enqueue{entry_of("b", id_of('n', 4), 50)}});
  CHECK(b.look([](reader& r) {
           const auto first = r.entries("a", 2);
           REQUIRE(first.size() == 2);
           const auto rest = r.entries("a", 2, first[1].seq);
           REQUIRE(rest.size() == 1);
           CHECK(rest[0].id == id_of('n', 3));
           CHECK(r.entries("a", 2, rest[0].seq).empty());

           const auto all = r.mailboxes("", 10);
           REQUIRE(all.size() == 2);
           CHECK(all[0].mailbox == "a");
           CHECK(all[0].depth == 3);
           CHECK(all[0].oldest_at == 1);
           CHECK(all[0].due_at == 97);
           CHECK(all[1].depth == 1);
           CHECK(r.mailboxes("", 1).size() == 1);
           CHECK(r.mailboxes("a", 10).at(0).mailbox == "b");
           CHECK(r.mailboxes("b", 10).empty());
         }).empty());
}

TEST_CASE("dead letters are read newest first, by mailbox and reason, and one by its id") {
  bench b;
  const auto bury = [&](std::uint64_t n, const std::string& mailbox, const std::string& reason) {
    b.must({enqueue{entry_of(mailbox, id_of('n', n))}});
    b.must({bury_entry{mailbox, id_of('n', n), reason, static_cast<std::int64_t>(n)}});
  };
  bury(1, "a", "poison");
  bury(2, "b", "poison");
  bury(3, "a", "expired");
  bury(4, "a", "poison");
  const auto ids = [&](const dead_filter& which, std::optional<std::uint64_t> before = {},
                       std::size_t most = 10) {
    std::vector<uuid> out;
    CHECK(b.look([&](reader& r) {
             for (const auto& l : r.dead(which, before, most))
               out.push_back(l.entry.id);
           }).empty());
    return out;
  };
  const auto n = [](std::uint64_t number) { return id_of('n', number); };
  CHECK(ids({}) == std::vector{n(4), n(3), n(2), n(1)});
  CHECK(ids({"a", {}}) == std::vector{n(4), n(3), n(1)});
  CHECK(ids({{}, "poison"}) == std::vector{n(4), n(2), n(1)});
  CHECK(ids({"a", "poison"}) == std::vector{n(4), n(1)});
  CHECK(ids({"c", {}}).empty());
  CHECK(b.look([&](reader& r) {
           const auto page = r.dead({}, {}, 2);
           REQUIRE(page.size() == 2);
           CHECK(page[0].number > page[1].number);
           const auto rest = r.dead({}, page[1].number, 2);
           REQUIRE(rest.size() == 2);
           CHECK(rest[0].entry.id == n(2));
           CHECK(r.dead({}, rest[1].number, 2).empty());
           CHECK(r.dead_letter_of(n(3))->reason == "expired");
           CHECK_FALSE(r.dead_letter_of(n(9)));
         }).empty());
}

TEST_CASE("an agent's answers to a question are read with how each ended, and one at most is kept open") {
  bench b;
  const auto room = id_of('r', 1);
  const auto question = event_of(room, 1, id_of('e', 1));
  b.must({create_room{room_of(room)}, append_event{question}, open_answer{answer_of(id_of('a', 1), question)},
          open_answer{answer_of(id_of('b', 1), question, "second")}});
  const auto kinds = [&] {
    std::vector<std::string> out;
    CHECK(b.look([&](reader& r) {
             for (const auto& a : r.answers_of(question.id, "maru"))
               out.push_back(a.kind);
           }).empty());
    return out;
  };
  const auto may_ask = [&](const std::string& agent) {
    return b.commit({expect_unanswered{question.id, agent}}).why == failure::none;
  };
  const auto end = [&](const uuid& answer, std::uint64_t seq, const std::string& kind) {
    const auto event = event_of(room, seq, id_of('e', seq), kind);
    b.must({append_event{event}, end_answer{answer, seq, event.id}});
  };
  CHECK(kinds() == std::vector<std::string>{""});
  CHECK_FALSE(may_ask("maru"));
  CHECK(may_ask("third"));
  end(id_of('a', 1), 2, "answer_failed");
  CHECK(may_ask("maru"));
  CHECK_FALSE(may_ask("second"));
  b.must({expect_unanswered{question.id, "maru"}, open_answer{answer_of(id_of('a', 2), question)}});
  CHECK(kinds() == std::vector<std::string>{"answer_failed", ""});
  CHECK(b.commit({expect_unanswered{question.id, "maru"}, open_answer{answer_of(id_of('a', 3), question)}})
            .why == failure::conflict);
  end(id_of('a', 2), 3, "answer_stopped");
  CHECK(may_ask("maru"));
  b.must({open_answer{answer_of(id_of('a', 4), question)}});
  end(id_of('a', 4), 4, "answer");
  CHECK_FALSE(may_ask("maru"));
  CHECK(kinds() == std::vector<std::string>{"answer_failed", "answer_stopped", "answer"});
}

TEST_CASE("what is repeated is moved to its next turn once") {
  bench b;
  auto entry = entry_of("room/a", id_of('n', 1), 100);
  entry.owner = id_of('p', 1);
  entry.failures = 2;
  b.must({enqueue{entry}});
  const repeat_entry turn{"room/a", id_of('n', 1), 100, 200, R"({"next":1})"};
  b.must({turn});
  CHECK(b.commit({turn}).why == failure::conflict);
  CHECK(b.commit({repeat_entry{"room/b", id_of('n', 1), 200, 300, "{}"}}).why == failure::conflict);
  const auto kept = entries(b, "room/a").at(0);
  CHECK(kept.visible_at == 200);
  CHECK(kept.body == R"({"next":1})");
  CHECK(kept.failures == 0);
  CHECK(kept.owner == id_of('p', 1));
}

TEST_CASE("entries are found by what is due, by their owner, and by their id") {
  bench b;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    auto entry = entry_of("room/a", id_of('n', i), static_cast<std::int64_t>(500 - 100 * i));
    if (i < 4) entry.owner = id_of('p', 1);
    b.must({enqueue{entry}});
  }
  b.must({enqueue{entry_of("room/b", id_of('n', 9), 1)}});
  CHECK(b.look([](reader& r) {
           CHECK(r.entries_due("room/a", 99, 10).empty());
           const auto due = r.entries_due("room/a", 300, 10);
           REQUIRE(due.size() == 3);
           CHECK(due[0].id == id_of('n', 4));
           CHECK(due[2].id == id_of('n', 2));
           CHECK(r.entries_due("room/a", 300, 2).size() == 2);
           CHECK(r.entry_heads("room/a").size() == 4);
           CHECK(r.entry_heads("room/c").empty());
           CHECK(r.entries_of(id_of('p', 1)) == 3);
           CHECK(r.entries_of(id_of('p', 2)) == 0);
           CHECK(r.entry(id_of('n', 9))->mailbox == "room/b");
           CHECK_FALSE(r.entry(id_of('n', 8)));
         }).empty());
  // Its owner stays with a dead letter, and comes back with it.
  b.must({bury_entry{"room/a", id_of('n', 1), "refused", 1}});
  CHECK(b.look([](reader& r) {
           CHECK(r.entries_of(id_of('p', 1)) == 2);
           CHECK(r.dead_letter_of(id_of('n', 1))->entry.owner == id_of('p', 1));
         }).empty());
  b.must({requeue_dead{id_of('n', 1), 5}});
  CHECK(b.look([](reader& r) { CHECK(r.entries_of(id_of('p', 1)) == 3); }).empty());
}
