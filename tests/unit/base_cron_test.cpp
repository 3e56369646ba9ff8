#include "base/cron.hpp"

#include <date/date.h>
#include <sstream>

#include "tests/support/catch.hpp"

using namespace maru;

namespace {

std::int64_t ms(const std::string& utc) {
  std::istringstream in(utc);
  date::sys_time<std::chrono::milliseconds> at;
  in >> date::parse("%FT%TZ", at);
  REQUIRE(!in.fail());
  return at.time_since_epoch().count();
}

std::string utc(std::optional<std::int64_t> at) {
  if (!at) return "never";
  return date::format("%FT%TZ", date::floor<std::chrono::seconds>(date::sys_time<std::chrono::milliseconds>{
                                    std::chrono::milliseconds{*at}}));
}

std::string next(const std::string& fields, const std::string& after, const std::string& zone = "UTC") {
  const auto c = cron::parse(fields, zone);
  REQUIRE(c);
  return utc(c->next(ms(after)));
}

// The first few, one after the other.
std::vector<std::string> series(const std::string& fields, const std::string& after, const std::string& zone,
                                int count) {
  const auto c = cron::parse(fields, zone);
  REQUIRE(c);
  std::vector<std::string> out;
  for (auto at = ms(after); count > 0; --count) {
    at = *c->next(at);
    out.push_back(utc(at));
  }
  return out;
}

using times = std::vector<std::string>;

} // namespace

TEST_CASE("the next time is after the moment that is given, never that moment", "[base][cron]") {
  CHECK(next("0 9 * * *", "2026-03-02T08:59:59.999Z") == "2026-03-02T09:00:00Z");
  CHECK(next("0 9 * * *", "2026-03-02T09:00:00.000Z") == "2026-03-03T09:00:00Z");
  CHECK(next("* * * * *", "2026-03-02T23:59:30Z") == "2026-03-03T00:00:00Z");
  CHECK(next("59 23 31 12 *", "2026-12-31T23:59:00Z") == "2027-12-31T23:59:00Z");
}

TEST_CASE("lists, ranges, steps and names", "[base][cron]") {
  CHECK(next("*/15 9-17 * * 1-5", "2026-03-06T17:45:00Z") == "2026-03-09T09:00:00Z"); // Friday to Monday
  CHECK(next("0 8 * * MON", "2026-03-02T08:00:00Z") == "2026-03-09T08:00:00Z");
  CHECK(next("0 8 * * 7", "2026-03-02T08:00:00Z") == "2026-03-08T08:00:00Z");
  CHECK(next("0 8 * * 0", "2026-03-02T08:00:00Z") == "2026-03-08T08:00:00Z");
  CHECK(next("5,35 0 1 jan,Jul *", "2026-03-02T08:00:00Z") == "2026-07-01T00:05:00Z");
  CHECK(next("10-50/20 6 * * *", "2026-03-02T06:10:00Z") == "2026-03-02T06:30:00Z");
  CHECK(next("40/10 6 * * *", "2026-03-02T06:40:00Z") == "2026-03-02T06:50:00Z");
  // A step beyond all leaves the first alone, however big it is.
  for (const auto* step : {"100", "4294967295", "4294967294"})
    CHECK(series("0 5-10/" + std::string(step) + " * * *", "2026-03-02T00:00:00Z", "UTC", 2) ==
          series("0 5 * * *", "2026-03-02T00:00:00Z", "UTC", 2));
  CHECK(next("  0   9  *  *  *  ", "2026-03-02T08:00:00Z") == "2026-03-02T09:00:00Z");
}

TEST_CASE("where both days are restricted either is enough, else both count", "[base][cron]") {
  CHECK(
      series("0 0 13 * fri", "2026-03-01T00:00:00Z", "UTC", 4) ==
      times{"2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-27T00:00:00Z"});
  CHECK(series("0 0 13 * *", "2026-03-01T00:00:00Z", "UTC", 2) ==
        times{"2026-03-13T00:00:00Z", "2026-04-13T00:00:00Z"});
}

TEST_CASE("leap days come when they come, and a day that never comes is never", "[base][cron]") {
  CHECK(next("0 0 29 2 *", "2096-03-01T00:00:00Z") == "2104-02-29T00:00:00Z");
  CHECK(next("0 0 30 2 *", "2026-03-01T00:00:00Z") == "never");
  CHECK(next("0 0 31 4,6,9,11 *", "2026-03-01T00:00:00Z") == "never");
}

TEST_CASE("hours are those of the zone", "[base][cron]") {
  CHECK(next("0 9 * * *", "2026-03-02T08:00:00Z", "Asia/Seoul") == "2026-03-03T00:00:00Z");
  CHECK(next("0 9 * * mon", "2026-03-01T23:59:59Z", "Asia/Seoul") == "2026-03-02T00:00:00Z");
  CHECK(next("30 12 * * *", "2026-07-01T00:00:00Z", "Asia/Kathmandu") == "2026-07-01T06:45:00Z");
}

TEST_CASE("a time that the clock leaves out happens when it jumps, once", "[base][cron]") {
  // Berlin, 29 March 2026: 02:00 is 03:00.
  CHECK(series("30 2 * * *", "2026-03-28T00:00:00Z", "Europe/Berlin", 3) ==
        times{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"});
  CHECK(series("0,30 2 * * *", "2026-03-29T00:00:00Z", "Europe/Berlin", 2) ==
        times{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"});
}

TEST_CASE("a time that the clock brings twice happens the first time", "[base][cron]") {
  // Berlin, 25 October 2026: 03:00 is 02:00 again.
  CHECK(series("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin", 2) ==
        times{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"});
}

TEST_CASE("what happens in every hour follows the hours as they pass", "[base][cron]") {
  CHECK(
      series("0 * * * *", "2026-10-24T23:30:00Z", "Europe/Berlin", 4) ==
      times{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"});
  CHECK(series("30 * * * *", "2026-03-29T00:00:00Z", "Europe/Berlin", 3) ==
        times{"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"});
}

TEST_CASE("what is no crontab line, or no zone, is refused with what is wrong", "[base][cron]") {
  for (const auto* fields : {"",
                             "* * * *",
                             "* * * * * *",
                             "60 * * * *",
                             "* 24 * * *",
                             "* * 0 * *",
                             "* * 32 * *",
                             "* * * 13 *",
                             "* * * * 8",
                             "*/0 * * * *",
                             "5-1 * * * *",
                             "a * * * *",
                             "1, * * * *",
                             ",1 * * * *",
                             "1-2-3 * * * *",
                             "-1 * * * *",
                             "1/ * * * *",
                             "99999999999 * * * *",
                             "* * * foo *",
                             "@daily"}) {
    CAPTURE(fields);
    const auto c = cron::parse(fields, "UTC");
    REQUIRE_FALSE(c);
    CHECK(c.error().why == code::invalid_field);
    CHECK(c.error().detail.starts_with("cron: "));
  }
  for (const auto* zone : {"", "Seoul", "Asia/Nowhere", "localtime", "../../etc/passwd"}) {
    CAPTURE(zone);
    const auto c = cron::parse("* * * * *", zone);
    REQUIRE_FALSE(c);
    CHECK(c.error().detail.starts_with("zone: "));
  }
}

TEST_CASE("the shortest gap between two turns is known beforehand, across midnight as well", "[base][cron]") {
  const auto gap = [](const std::string& fields) {
    return cron::parse(fields, "UTC")->shortest_gap_minutes();
  };
  CHECK(gap("* * * * *") == 1);
  CHECK(gap("*/5 * * * *") == 5);
  CHECK(gap("0 9 * * 1") == 24 * 60);
  CHECK(gap("0,59 * * * *") == 1);
  CHECK(gap("58 23 * * *") == 24 * 60);
  CHECK(gap("0,57 0,23 * * *") == 3); // 23:57 and 00:00
  CHECK(gap("0,7 9 * * *") == 7);
}
