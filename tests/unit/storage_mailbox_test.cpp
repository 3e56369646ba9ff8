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
