// Whatever operation of the store fails while a message is scheduled and delivered: it is there once, its
// answer ends once, and nothing stays behind.

#include "actors/common.hpp"
#include "tests/fault/failing.hpp"
#include "tests/support/asking.hpp"

using namespace maru;
using namespace maru::test;
using storage::failure;

namespace {

namespace api = actors::api;

constexpr std::int64_t second_ms = 1'000, minute_ms = 60'000, hour_ms = 3'600'000;
constexpr std::uint32_t tries = 20;

class delivery {
public:
  explicit delivery(bool repeated) : repeated_(repeated) {
    wish_.key = uuid::v7(0);
    wish_.id = wish_.key.str();
    wish_.room = a.room;
    wish_.text = "scheduled";
    if (repeated) {
      wish_.cron = "0 * * * *";
      wish_.zone = "Asia/Seoul";
    } else {
      wish_.at = a.w.rig().time().unix_ms() + hour_ms;
    }
  }

  void go() {
    bool kept = false;
    for (std::uint32_t i = 0; i < tries && !kept; ++i) {
      caf::anon_send(a.w.api(), a.w.ana.str(), api::request{wish_}, api::replied{[&](const api::reply& how) {
                       kept = kept || std::holds_alternative<api::posted>(how);
                     }});
      a.w.advance(second_ms);
    }
    CHECK(kept);
    a.w.rig().time().advance(hour_ms);
    a.w.advance(minute_ms);
    for (std::uint32_t i = 0; i < tries && a.w.ends(a.room).empty(); ++i) {
      if (a.model.open_calls() > 0) a.answer("text");
      a.w.advance(second_ms);
    }
  }

  void check() {
    std::size_t there = 0;
    for (const auto& e : a.w.events(a.room))
      there += e.kind == "message" ? 1 : 0;
    CHECK(there == 1);
    CHECK(a.w.ends(a.room).size() == 1);
    CHECK(a.w.entries(a.room).size() == (repeated_ ? 1 : 0));
    CHECK(a.w.entries(a.room, "maru").empty());
    CHECK(a.w.dead().empty());
    CHECK(a.w.violations().empty());
  }

  asking a;

private:
  const bool repeated_;
  api::schedule_message wish_;
};

// Fails the operation `k`, and whatever is asked within `ms` after it. False: there is none.
bool fail_at(bool repeated, std::size_t k, failure acted, std::int64_t ms) {
  delivery d(repeated);
  const failing fault(d.a.w, acted, k, ms);
  d.go();
  INFO(storage::word(acted) << " for " << ms << " ms at operation " << k << ", " << fault.at());
  d.a.w.store_fault = nullptr;
  d.check();
  return fault.met();
}

} // namespace

TEST_CASE("a scheduled message is delivered once whatever operation of the store fails",
          "[fault][schedule]") {
  const bool repeated = GENERATE(false, true);
  const auto acted = GENERATE(failure::unavailable, failure::full);
  const std::int64_t ms = GENERATE(0, 3'000);
  delivery whole(repeated);
  whole.go();
  whole.check();
  // The sweeper reads once a second: its reads are many, and all alike after these.
  for (std::size_t k = 1; k <= 60; ++k)
    if (!fail_at(repeated, k, acted, ms)) break;
}
