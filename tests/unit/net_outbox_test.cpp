#include <thread>

#include <nlohmann/json.hpp>

#include "net/codec.hpp"
#include "net/outbox.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::net;
using namespace maru::tests;
using nlohmann::json;

namespace {

struct rig {
  std::unique_ptr<actors::frame_codec> codec = make_codec({}, "1", "n");
  outbox box{*codec};

  actors::frame_ptr delta(std::uint64_t n, const std::string& text, const char* answer = some_id,
                          std::uint32_t attempt = 1) const {
    return codec->delta(id_of(other_id), {id_of(answer), attempt, n, 1, text});
  }

  // Writes at most `bytes`; returns what the peer would get.
  std::string write(std::size_t bytes = SIZE_MAX) {
    outbox::gathered next;
    box.gather(next);
    std::string out;
    for (std::size_t i = 0; i < next.count; ++i)
      out.append(static_cast<const char*>(next.parts[i].iov_base), next.parts[i].iov_len);
    out.resize(std::min(out.size(), bytes));
    if (!out.empty()) drained |= box.wrote(out.size());
    return out;
  }
  std::string write_all() {
    std::string out;
    for (auto more = write(); !more.empty(); more = write())
      out += more;
    return out;
  }
  bool drained = false;
};

// The payloads of unmasked frames.
std::vector<std::string> frames(std::string_view wire) {
  std::vector<std::string> out;
  while (!wire.empty()) {
    std::size_t size = static_cast<std::uint8_t>(wire[1]);
    std::size_t at = 2;
    if (size >= 126) {
      const std::size_t width = size == 126 ? 2 : 8;
      size = 0;
      for (std::size_t i = 0; i < width; ++i)
        size = size << 8U | static_cast<std::uint8_t>(wire[at++]);
    }
    out.emplace_back(wire.substr(at, size));
    wire.remove_prefix(at + size);
  }
  return out;
}

} // namespace

TEST_CASE("frames leave whole and in order, however little is written at a time", "[net][outbox]") {
  rig r;
  std::vector<std::string> sent;
  const auto step = GENERATE(1, 101, 1000, 1'000'000);
  for (const std::size_t size : {0, 1, 125, 126, 127, 65'535, 65'536, 3}) {
    if (step == 1 && size > 127) continue;
    sent.emplace_back(size, 'x');
    r.box.push(text_frame(sent.back()));
  }
  std::string wire;
  for (auto more = r.write(step); !more.empty(); more = r.write(step))
    wire += more;
  CHECK(frames(wire) == sent);
  CHECK(r.box.bytes() == 0);
}

TEST_CASE("a burst wakes the writer once", "[net][outbox]") {
  rig r;
  CHECK(r.box.push(text_frame("a")));
  CHECK_FALSE(r.box.push(text_frame("b")));
  r.box.take_credit();
  CHECK(r.box.push(text_frame("c")));
  r.box.take_credit();
  r.box.stalled(true);
  CHECK_FALSE(r.box.push(text_frame("d")));
  CHECK(r.box.answer(text_frame("e"), 5));
}

TEST_CASE("waiting deltas of an answer become one", "[net][outbox]") {
  rig r;
  r.box.push(r.delta(1, "a"));
  r.box.push(r.delta(1, "x", other_id));
  r.box.push(r.delta(2, "b"));
  r.box.push(r.delta(2, "y", other_id));
  r.box.push(r.delta(3, "\"c\""));
  const auto got = frames(r.write_all());
  REQUIRE(got.size() == 2);
  CHECK(json::parse(got[0]) == json{{"type", "delta"},
                                    {"room", other_id},
                                    {"answer", some_id},
                                    {"attempt", 1},
                                    {"n", 3},
                                    {"count", 3},
                                    {"text", "ab\"c\""}});
  CHECK(json::parse(got[1])["text"] == "xy");
  CHECK(r.box.bytes() == 0);
}

TEST_CASE("deltas do not merge over a gap, an attempt or another frame", "[net][outbox]") {
  rig r;
  std::string wire;
  r.box.push(r.delta(1, "a"));
  SECTION("a gap") { r.box.push(r.delta(3, "c")); }
  SECTION("a repeat") { r.box.push(r.delta(1, "a")); }
  SECTION("an attempt") { r.box.push(r.delta(2, "b", some_id, 2)); }
  SECTION("another frame") {
    r.box.push(text_frame("{}"));
    r.box.push(r.delta(2, "b"));
  }
  SECTION("a delta that is being written") {
    wire = r.write(1);
    r.box.push(r.delta(2, "b"));
  }
  wire += r.write_all();
  CHECK(frames(wire).size() >= 2);
  CHECK(wire.find("count") == std::string::npos);
}

TEST_CASE("a reader too slow for outbox_bytes is closed with 4508 at a frame's end", "[net][outbox]") {
  rig r;
  const std::string big(limits::outbox_bytes / 4, 'x');
  r.box.push(text_frame(big));
  r.box.push(text_frame(big));
  auto wire = r.write(10); // in the middle of the first
  r.box.push(text_frame(big));
  CHECK_FALSE(r.box.closed());
  r.box.push(text_frame(big));
  CHECK(r.box.closed());
  CHECK_FALSE(r.box.push(text_frame("late")));
  wire += r.write_all();
  const auto got = frames(wire);
  REQUIRE(got.size() == 2);
  CHECK(got[0] == big);
  CHECK(got[1] == std::string{"\x11\x9c"}); // 4508
  CHECK(r.box.finished());
  CHECK(r.box.bytes() == 0);
}

TEST_CASE("a frame bigger than outbox_bytes goes to a reader for whom nothing else waits", "[net][outbox]") {
  rig r;
  const std::string big(limits::outbox_bytes + 1, 'x');
  r.box.push(text_frame(big));
  CHECK_FALSE(r.box.closed());
  const auto got = frames(r.write_all());
  REQUIRE(got.size() == 1);
  CHECK(got[0] == big);
  r.box.push(text_frame(big));
  r.box.push(text_frame("more"));
  CHECK(r.box.closed());
}

TEST_CASE("many tiny frames are bounded, too", "[net][outbox]") {
  rig r;
  std::size_t count = 0;
  while (!r.box.closed() && count < limits::outbox_bytes) {
    r.box.push(text_frame(""));
    ++count;
  }
  CHECK(count < limits::outbox_bytes / 32);
}

TEST_CASE("a close comes after what waits, and nothing after it", "[net][outbox]") {
  rig r;
  r.box.push(text_frame("a"));
  CHECK(r.box.finish(close_code::draining));
  CHECK_FALSE(r.box.finish(close_code::normal));
  CHECK_FALSE(r.box.push(text_frame("b")));
  CHECK_FALSE(r.box.control({'\x88', '\0'}));
  CHECK(frames(r.write_all()) == std::vector<std::string>{"a", "\x03\xe9"});
}

TEST_CASE("a close frame of the WebSocket layer is the last, too", "[net][outbox]") {
  rig r;
  r.box.control({'\x8a', '\0'});
  r.box.control({'\x88', '\2', '\3', '\xe8'});
  CHECK(r.box.closed());
  CHECK_FALSE(r.box.push(text_frame("b")));
  CHECK(frames(r.write_all()).size() == 2);
}

TEST_CASE("credit comes back once, also when the outbox is closed", "[net][outbox]") {
  rig r;
  r.box.answer(text_frame("a"), 10);
  r.box.answer(nullptr, 5);
  r.box.finish(close_code::normal);
  r.box.answer(text_frame("b"), 7);
  const auto got = r.box.take_credit();
  CHECK(got.commands == 3);
  CHECK(got.bytes == 22);
  CHECK(r.box.take_credit().commands == 0);
}

TEST_CASE("who asked is told when little waits", "[net][outbox]") {
  rig r;
  CHECK(r.box.low_or_tell());
  r.box.push(text_frame(std::string(limits::outbox_low_bytes, 'x')));
  CHECK_FALSE(r.box.low_or_tell());
  r.write(1000);
  CHECK_FALSE(r.drained);
  r.write_all();
  CHECK(r.drained);
  r.drained = false;
  r.box.push(text_frame("x"));
  r.write_all();
  CHECK_FALSE(r.drained);
}

TEST_CASE("pushes from several threads lose nothing", "[net][outbox]") {
  rig r;
  constexpr int each = 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < each; ++i)
        r.box.push(text_frame("x"));
    });
  std::size_t got = 0;
  while (got < 3 * each)
    got += frames(r.write()).size();
  for (auto& one : threads)
    one.join();
  CHECK(got == 3 * each);
  CHECK(r.box.bytes() == 0);
}
