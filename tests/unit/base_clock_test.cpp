#include "base/clock.hpp"
#include "tests/support/catch.hpp"

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
