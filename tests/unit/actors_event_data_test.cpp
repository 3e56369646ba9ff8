#include "actors/event_data.hpp"

#include "tests/support/catch.hpp"

using namespace maru;
using namespace maru::actors;

namespace {

const std::string some_id = "0190f000-0000-7000-8000-000000000001";

}

TEST_CASE("what was asked is read as it was written") {
  const std::vector<asked> written{{*uuid::parse(some_id), "maru"}, {uuid{}, "other"}};
  const auto read = event_data::parse_asked(event_data::asked_list(written));
  REQUIRE(read.size() == 2);
  CHECK(read[0].answer == written[0].answer);
  CHECK(read[0].agent == "maru");
  CHECK(read[1].agent == "other");
}

// It threw, and the room that read the row ended each time it was opened.
TEST_CASE("a stored row that holds something else than was written is read as far as it goes") {
  for (const auto* damaged : {"", "5", "{}", "[5]", R"(["a"])", R"([{"answer":5}])", R"([null,[]])"}) {
    INFO(damaged);
    CHECK(event_data::parse_asked(damaged).empty());
  }
  const auto half = event_data::parse_asked(R"([{"answer":")" + some_id + R"(","agent":5}])");
  REQUIRE(half.size() == 1);
  CHECK(half[0].agent.empty());
  for (const auto* damaged : {"", "[1]", R"({"text":1,"agent":null})", R"({"text":["x"]})"}) {
    INFO(damaged);
    CHECK(event_data::read(damaged).text.empty());
    CHECK(event_data::read(damaged).agent.empty());
  }
  for (std::string damaged : {R"({"text":1})", "[", "{}"}) {
    damaged.append(2000, ' ');
    const auto before = damaged;
    event_data::shorten(damaged);
    CHECK(damaged == before);
  }
}
