#include <set>
#include <string_view>

#include "base/codes.hpp"
#include "base/result.hpp"
#include "tests/support/catch.hpp"

using maru::code;

TEST_CASE("every code has a word of its own, a status that fits and a title", "[base][codes]") {
  std::set<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(code::internal); ++i) {
    const auto& row = maru::info(static_cast<code>(i));
    CAPTURE(row.word);
    CHECK(static_cast<int>(row.value) == i);
    CHECK(words.insert(row.word).second);
    CHECK_FALSE(row.title.empty());
    CHECK(row.http_status >= (row.value == code::ok ? 200 : 400));
    CHECK(row.http_status < 600);
  }
}

TEST_CASE("the words of the contract are what they are", "[base][codes]") {
  CHECK(maru::word(code::invalid_json) == "invalid_json");
  CHECK(maru::word(code::storage_unavailable) == "storage_unavailable");
  CHECK(maru::info(code::unauthenticated).http_status == 401);
  CHECK(maru::info(code::not_found).http_status == 404);
  CHECK(maru::info(code::method_not_allowed).http_status == 405);
  CHECK(maru::info(code::rate_limited).http_status == 429);
  CHECK(maru::info(code::overloaded).http_status == 503);
}

TEST_CASE("a code from nowhere is an internal one", "[base][codes]") {
  CHECK(maru::info(static_cast<code>(255)).value == code::internal);
}

TEST_CASE("a result is a value or a refusal", "[base][codes]") {
  const maru::result<int> good{7};
  REQUIRE(good);
  CHECK(*good == 7);
  const maru::result<int> bad{maru::refusal{code::conflict, "again", 0}};
  REQUIRE_FALSE(bad);
  CHECK(bad.error().why == code::conflict);
  CHECK_FALSE(maru::refusal{});
}
