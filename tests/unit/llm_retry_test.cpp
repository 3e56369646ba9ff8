#include "llm/retry.hpp"

#include "config/limits.hpp"
#include "llm/provider.hpp"
#include "tests/support/catch.hpp"

using namespace maru::llm;
using std::chrono::milliseconds;

TEST_CASE("the delay doubles from 250 ms to 10 s, with jitter from half to whole") {
  maru::config::provider_settings o;
  outcome last;
  CHECK(retry_delay(o, 2, last, 0.0) == milliseconds(125));
  CHECK(retry_delay(o, 2, last, 0.999999) >= milliseconds(249));
  CHECK(retry_delay(o, 3, last, 1.0) == milliseconds(500));
  CHECK(retry_delay(o, 4, last, 1.0) == milliseconds(1000));
  CHECK(retry_delay(o, 8, last, 1.0) == milliseconds(10'000));
  CHECK(retry_delay(o, 4'000'000'000U, last, 1.0) == milliseconds(10'000));
}

TEST_CASE("what the provider asked for is honoured up to 60 s") {
  maru::config::provider_settings o;
  outcome last;
  last.retry_after = milliseconds(7000);
  CHECK(retry_delay(o, 2, last, 0.0) == milliseconds(7000));
  last.retry_after = milliseconds(3'600'000);
  CHECK(retry_delay(o, 2, last, 0.0) == milliseconds(60'000));
}

TEST_CASE("Retry-After is read as seconds or as an HTTP date") {
  constexpr std::int64_t now = 784'111'777'000; // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(parse_retry_after("5", now) == milliseconds(5000));
  CHECK(parse_retry_after(" 5 ", now) == milliseconds(5000));
  CHECK(parse_retry_after("99999999999999999999", now) == milliseconds(60'000));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now) == milliseconds(10'000));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:27 GMT", now) == milliseconds(0));
  CHECK(parse_retry_after("Sun, 06 Nov 2094 08:49:27 GMT", now) == milliseconds(60'000));
  for (auto bad : {"", "-5", "soon", "1.5", "Sun, 32 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 25:49:47 GMT",
                   "Sun, 06 Xxx 1994 08:49:47 GMT"})
    CHECK(parse_retry_after(bad, now) == milliseconds(0));
}

TEST_CASE("408, 429 and 5xx may be tried again, other statuses not") {
  for (int s : {408, 429, 500, 502, 503, 529, 599})
    CHECK(retryable_status(s));
  for (int s : {301, 302, 400, 401, 403, 404, 409, 422, 600})
    CHECK_FALSE(retryable_status(s));
}
