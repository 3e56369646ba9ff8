#include <algorithm>
#include <set>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/uuid.hpp"
#include "tests/support/catch.hpp"

using maru::uuid;

TEST_CASE("a uuid is written as it was read, in lower case", "[base][uuid]") {
  const auto id = uuid::parse("018F4E6A-7b2c-7D3e-8f40-0123456789aB");
  REQUIRE(id);
  CHECK(id->str() == "018f4e6a-7b2c-7d3e-8f40-0123456789ab");
  CHECK(id->bytes[0] == 0x01);
  CHECK(id->bytes[15] == 0xab);
}

TEST_CASE("only the hyphenated form is a uuid", "[base][uuid]") {
  for (const auto* text : {"", "018f4e6a7b2c7d3e8f400123456789ab", "{018f4e6a-7b2c-7d3e-8f40-0123456789a}",
                           "018f4e6a-7b2c-7d3e-8f40-0123456789a", "018f4e6a-7b2c-7d3e-8f40-0123456789abc",
                           "018f4e6a-7b2c-7d3e-8f40-0123456789ag", "018f4e6a-7b2c-7d3e-8f4-00123456789ab",
                           "018f4e6a_7b2c_7d3e_8f40_0123456789ab", " 18f4e6a-7b2c-7d3e-8f40-0123456789ab",
                           "0x8f4e6a-7b2c-7d3e-8f40-0123456789ab", "+18f4e6a-7b2c-7d3e-8f40-0123456789ab"}) {
    CAPTURE(text);
    CHECK_FALSE(uuid::parse(text));
  }
}

TEST_CASE("only the uuid of zeros is nil", "[base][uuid]") {
  CHECK(uuid{}.nil());
  uuid id;
  id.bytes[15] = 1;
  CHECK_FALSE(id.nil());
}

TEST_CASE("an id of the server says its version, its variant and its time", "[base][uuid]") {
  // Later than anything another test asks for, since ids never go back.
  constexpr std::int64_t at = 0x7000'0000'0000;
  const auto id = uuid::v7(at);
  CHECK(id.bytes[6] >> 4 == 7);
  CHECK(id.bytes[8] >> 6 == 2);
  std::int64_t told = 0;
  for (int i = 0; i < 6; ++i)
    told = told << 8 | id.bytes[static_cast<std::size_t>(i)];
  CHECK(told == at);
}

TEST_CASE("ids grow within a millisecond and when the clock goes back", "[base][uuid]") {
  auto before = uuid::v7(1'700'000'000'000);
  for (int i = 0; i < 20'000; ++i) {
    const auto next = uuid::v7(1'700'000'000'000 - i);
    REQUIRE(before < next);
    before = next;
  }
}

TEST_CASE("a time that does not fit gives an id all the same", "[base][uuid]") {
  const auto one = uuid::v7(-1);
  CHECK(one < uuid::v7(INT64_MIN));
}

TEST_CASE("threads never make the same id", "[base][uuid]") {
  constexpr std::size_t each = 5'000;
  std::vector<std::vector<uuid>> made(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : made)
      threads.emplace_back([&mine] {
        for (std::size_t i = 0; i < each; ++i)
          mine.push_back(uuid::v7(1'700'000'000'000));
      });
  }
  std::unordered_set<uuid> all;
  for (const auto& mine : made) {
    CHECK(std::is_sorted(mine.begin(), mine.end()));
    all.insert(mine.begin(), mine.end());
  }
  CHECK(all.size() == made.size() * each);
}

TEST_CASE("ids that differ in one bit differ in their hashes", "[base][uuid]") {
  const std::hash<uuid> hash;
  std::set<std::size_t> seen{hash(uuid{})};
  for (std::size_t bit = 0; bit < 128; ++bit) {
    uuid id;
    id.bytes[bit / 8] = static_cast<std::uint8_t>(1U << bit % 8);
    seen.insert(hash(id));
  }
  CHECK(seen.size() == 129);
}

TEST_CASE("ids that somebody counted up spread over the buckets of a table", "[base][uuid]") {
  constexpr std::size_t buckets = 256;
  std::vector<int> filled(buckets);
  for (unsigned i = 0; i < 16 * buckets; ++i) {
    uuid id;
    id.bytes[14] = static_cast<std::uint8_t>(i >> 8);
    id.bytes[15] = static_cast<std::uint8_t>(i);
    ++filled[std::hash<uuid>{}(id) % buckets];
  }
  CHECK(*std::max_element(filled.begin(), filled.end()) < 64); // 16 each if all were even
}
