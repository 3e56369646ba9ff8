#include "llm/sse.hpp"

#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"

using maru::llm::sse_parser;

namespace {

using events = std::vector<std::pair<std::string, std::string>>;

struct parsed {
  events all;
  bool too_large = false;
  bool foreign = false;
};

void take(sse_parser& p, std::string_view part, parsed& to) {
  std::string gone(part); // a buffer of its own, overwritten afterwards, as a socket's is
  p.feed(gone);
  while (auto e = p.next())
    to.all.emplace_back(e->name, e->data);
  gone.assign(gone.size(), '#');
}

parsed parse(const std::vector<std::string_view>& parts, std::size_t most = 1000, bool finish = false) {
  sse_parser p(most);
  parsed out;
  for (auto part : parts)
    take(p, part, out);
  if (finish)
    if (auto e = p.finish()) out.all.emplace_back(e->name, e->data);
  out.too_large = p.too_large();
  out.foreign = p.foreign();
  return out;
}

const std::string mixed =
    "\xef\xbb\xbf: hello\r\ndata: one\r\n\r\nevent: x\ndata:two\ndata:  three\n\nid: 7\r\rdata\r\r"
    "retry: 5\n\ndata: \xea\xb0\x80\xeb\x82\x98\n\nevent: lost\n\ndata: end\n\n";
const events mixed_events{
    {"", "one"}, {"x", "two\n three"}, {"", ""}, {"", "\xea\xb0\x80\xeb\x82\x98"}, {"", "end"}};

} // namespace

TEST_CASE("events are read with any line end, comments, several data lines and a byte order mark") {
  CHECK(parse({mixed}).all == mixed_events);
}

TEST_CASE("where the bytes are cut does not change the events") {
  for (std::size_t i = 0; i <= mixed.size(); ++i)
    for (std::size_t j = i; j <= mixed.size(); ++j) {
      std::string_view s = mixed;
      auto got = parse({s.substr(0, i), s.substr(i, j - i), s.substr(j)});
      if (got.all != mixed_events || got.foreign) FAIL("cut at " << i << " and " << j);
    }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < mixed.size(); ++i)
    bytes.push_back(std::string_view(mixed).substr(i, 1));
  CHECK(parse(bytes).all == mixed_events);
}

TEST_CASE("a line beyond its bound ends the parsing however it is cut") {
  const std::string line = "data: " + std::string(44, 'x') + "\n\n";
  CHECK(parse({line}, 50).all.size() == 1);
  CHECK_FALSE(parse({line}, 50).too_large);
  CHECK(parse({line}, 49).too_large);
  for (std::size_t i = 0; i <= line.size(); ++i) {
    std::string_view s = line;
    CHECK(parse({s.substr(0, i), s.substr(i)}, 49).too_large);
    CHECK_FALSE(parse({s.substr(0, i), s.substr(i)}, 50).too_large);
  }
}

TEST_CASE("an event of many lines is bounded as a whole") {
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += "data: 0123456789\n";
  CHECK(parse({many}, 500).too_large);
  CHECK_FALSE(parse({many}, 5000).too_large);
}

TEST_CASE("what is no event stream is noticed, unknown fields later are not minded") {
  CHECK(parse({"<html><body>\n"}).foreign);
  CHECK(parse({"<html>no line end"}, 1000, true).foreign);
  CHECK_FALSE(parse({"data: x\n\n", "unknown: y\n\n"}).foreign);
  CHECK_FALSE(parse({": comment\n"}).foreign);
}

TEST_CASE("an event that the end cut off before its empty line is still given at the end") {
  CHECK(parse({"data: a\n\ndata: b"}, 1000, true).all == events{{"", "a"}, {"", "b"}});
  CHECK(parse({"data: a\n\ndata: b\n"}, 1000, true).all == events{{"", "a"}, {"", "b"}});
  CHECK(parse({"data: a\n\n"}, 1000, true).all == events{{"", "a"}});
  CHECK(parse({"data: a\n\n: bye"}, 1000, true).all == events{{"", "a"}});
}
