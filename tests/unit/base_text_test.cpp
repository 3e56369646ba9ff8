#include <random>
#include <string>

#include "base/text.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/seed.hpp"

namespace text = maru::text;
using namespace std::string_literals;

namespace {

std::string utf8(char32_t c) {
  const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 0x3f))};
  if (c < 0x10000) return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 0x3f)), byte(0x80 | (c >> 6 & 0x3f)),
          byte(0x80 | (c & 0x3f))};
}

bool surrogate(char32_t c) { return c >= 0xd800 && c < 0xe000; }

std::string some_text(std::mt19937& random, std::size_t length) {
  std::string out;
  for (std::size_t i = 0; i < length; ++i) {
    const char32_t most = random() % 4 == 0 ? 0x10ffff : 0x1fff;
    const char32_t c = 1 + random() % most;
    out += utf8(surrogate(c) ? U'\u0301' : c);
  }
  return out;
}

} // namespace

TEST_CASE("every character but NUL and the surrogates is acceptable", "[base][text]") {
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    const bool expected = c != 0 && !surrogate(c);
    if (text::acceptable(utf8(c)) != expected) FAIL("U+" << std::hex << static_cast<unsigned>(c));
  }
  CHECK_FALSE(text::acceptable("\xf4\x90\x80\x80")); // U+110000
}

TEST_CASE("text that is cut, overlong or no UTF-8 at all is refused wherever it stands", "[base][text]") {
  for (const auto& bad :
       {"\x80"s, "\xbf"s, "\xc0\x80"s, "\xc1\xbf"s, "\xe0\x80\x80"s, "\xe0\x9f\xbf"s, "\xf0\x8f\xbf\xbf"s,
        "\xf5\x80\x80\x80"s, "\xff"s, "\xc3"s, "\xe3\x81"s, "\xf0\x9f\x98"s, "\xc3("s, "\xe3\x81("s,
        "\xf0\x9f\x98("s, "\xed\xa0\x80"s, "\0"s}) {
    for (std::size_t before = 0; before < 20; ++before) {
      CAPTURE(bad, before);
      const auto ahead = std::string(before, 'a');
      CHECK_FALSE(text::acceptable(ahead + bad));
      CHECK_FALSE(text::acceptable(ahead + bad + "bbbbbbbbbbbb"));
      CHECK_FALSE(text::acceptable("日本" + ahead + bad));
    }
  }
  CHECK(text::acceptable(""));
}

TEST_CASE("text composes to NFC", "[base][text]") {
  CHECK(text::nfc("e\u0301") == "\u00e9");
  CHECK(text::nfc("\u30cf\u309a") == "\u30d1"); // ハ + ゜ = パ
  CHECK(text::nfc("\u00e9 stays") == "\u00e9 stays");
  CHECK(text::nfc("plain") == "plain");
  CHECK(text::nfc("") == "");
  CHECK_FALSE(text::nfc("\xc3"));
}

TEST_CASE("names that differ in case or composition fold to the same", "[base][text]") {
  CHECK(text::folded("MARU") == "maru");
  CHECK(text::folded("STRASSE") == text::folded("straße"));
  CHECK(text::folded("E\u0301lodie") == text::folded("\u00e9LODIE"));
  CHECK(text::folded("ΣΊΣΥΦΟΣ") == text::folded("σίσυφος"));
  CHECK(text::folded("@[`{") == "@[`{");
  // A mark that folds to a letter kept one below it on its other side.
  CHECK(text::folded("b\u0345\u0319") == text::folded("b\u0319\u0345"));
  CHECK_FALSE(text::folded("\xff"));
}

TEST_CASE("names that differ stay apart", "[base][text]") {
  CHECK(text::folded("maru") != text::folded("naru"));
  CHECK(text::folded("か") != text::folded("が"));
}

TEST_CASE("folding and composing any text a second time changes nothing", "[base][text]") {
  const auto seed = maru::tests::seed();
  CAPTURE(seed);
  std::mt19937 random{seed};
  for (int i = 0; i < 3'000; ++i) {
    const auto s = some_text(random, 1 + random() % 12);
    const auto composed = text::nfc(s);
    const auto folded = text::folded(s);
    REQUIRE(composed);
    REQUIRE(folded);
    CAPTURE(s);
    CHECK(text::acceptable(*folded));
    CHECK(text::nfc(*composed) == composed);
    CHECK(text::folded(*folded) == folded);
    CHECK(text::folded(*composed) == folded);
  }
}

TEST_CASE("a prefix never cuts a character", "[base][text]") {
  CHECK(text::prefix("aé日😀", 0).empty());
  CHECK(text::prefix("aé日😀", 1) == "a");
  CHECK(text::prefix("aé日😀", 2) == "a");
  CHECK(text::prefix("aé日😀", 3) == "aé");
  CHECK(text::prefix("aé日😀", 5) == "aé");
  CHECK(text::prefix("aé日😀", 6) == "aé日");
  CHECK(text::prefix("aé日😀", 9) == "aé日");
  CHECK(text::prefix("aé日😀", 10) == "aé日😀");
  CHECK(text::prefix("aé日😀", 11) == "aé日😀");
}

TEST_CASE("length counts characters and not bytes", "[base][text]") {
  CHECK(text::length("") == 0);
  CHECK(text::length("aé日😀") == 4);
}

TEST_CASE("hex digits are read in either case, one or four", "[base][text]") {
  CHECK(text::hex_digit('0') == 0);
  CHECK(text::hex_digit('a') == 10);
  CHECK(text::hex_digit('F') == 15);
  for (const char c : {'g', '/', ':', '@', 'G', '`', '\0'})
    CHECK(text::hex_digit(c) == -1);
  CHECK(text::hex4("d83Dx") == 0xd83d);
  CHECK(text::hex4("d83") == -1);
  CHECK(text::hex4("d83x") == -1);
}

TEST_CASE("how deep JSON goes is told without reading what stands in its strings", "[base][text]") {
  CHECK_FALSE(text::nested_deeper(R"({"a":[1,{}],"b":[]})", 3));
  CHECK(text::nested_deeper(R"({"a":[1,{}],"b":[]})", 2));
  CHECK_FALSE(text::nested_deeper(R"({"[[[\"[[[":"{{\\"})", 1));
  CHECK(text::nested_deeper("]]}[[", 1));
  CHECK_FALSE(text::nested_deeper("\"[[[", 1));
}
