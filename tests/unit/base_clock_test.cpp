#include "base/clock.hpp"
#include "tests/support/catch.hpp"

using maru::parse_rfc3339;
using maru::rfc3339;

TEST_CASE("a time is written in UTC with milliseconds", "[base][clock]") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(1'769'850'000'123) == "2026-01-31T09:00:00.123Z");
  CHECK(rfc3339(951'782'399'999) == "2000-02-28T23:59:59.999Z");
  CHECK(rfc3339(951'782'400'000) == "2000-02-29T00:00:00.000Z");
}

TEST_CASE("a time before 1970 is written as what it is", "[base][clock]") {
  CHECK(rfc3339(-1) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("a time that has no four-digit year is written as the nearest that has one", "[base][clock]") {
  CHECK(rfc3339(INT64_MIN) == "0000-01-01T00:00:00.000Z");
  CHECK(rfc3339(INT64_MAX) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("the machine's clocks count milliseconds of this century, and intervals do not go back",
          "[base][clock]") {
  const auto& clock = maru::system_clock();
  CHECK(clock.unix_ms() > 1'700'000'000'000);
  CHECK(clock.unix_ms() < 4'102'444'800'000);
  const auto before = clock.steady_ms();
  CHECK(clock.steady_ms() >= before);
}

TEST_CASE("a time is read as it is written, in UTC or with its offset", "[base][clock]") {
  for (const std::int64_t at : {0LL, 1'750'000'000'123LL, 951'782'400'000LL, -1LL})
    CHECK(parse_rfc3339(rfc3339(at)) == at);
  CHECK(parse_rfc3339("2026-01-31T09:00:00+09:00") == parse_rfc3339("2026-01-31T00:00:00Z"));
  CHECK(parse_rfc3339("2026-01-31t09:00:00.5z") == parse_rfc3339("2026-01-31T09:00:00.500999Z"));
  CHECK(parse_rfc3339("2026-01-31T09:00:00-00:30") == parse_rfc3339("2026-01-31T09:30:00Z"));
}

TEST_CASE("what is no time is none", "[base][clock]") {
  for (const auto* text :
       {"", "now", "2026-01-31", "2026-01-31T09:00:00", "2026-02-29T09:00:00Z", "2026-13-01T09:00:00Z",
        "2026-01-31T24:00:00Z", "2026-01-31T09:60:00Z", "2026-01-31T09:00:00.Z", "2026-01-31T09:00:00+9:00",
        "2026-01-31T09:00:00Zx", "-026-01-31T09:00:00Z", "20a6-01-31T09:00:00Z"})
    CHECK_FALSE(parse_rfc3339(text));
}
