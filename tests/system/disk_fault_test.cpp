// Calls to the disk that fail, are slow, or find it damaged, under the real server; and a clock that jumps.

#include <atomic>
#include <fstream>

#include "storage/sqlite_statement.hpp"
#include "tests/support/bad_disk.hpp"
#include "tests/support/talker.hpp"

namespace maru::tests {
namespace {

namespace fs = std::filesystem;
using storage::sqlite::connection;

server_options with(const bad_disk& disk) {
  server_options out;
  out.environment = disk.environment();
  return out;
}

struct shaken_house {
  [[nodiscard]] fs::path database() const { return h.server.data() / "maru.db"; }
  std::string readiness() { return json::parse(http_request(h.address(), "GET", "/readyz").body)["status"]; }
  int read() { return h.get(ann.who(), "/api/v1/rooms/" + ann.room() + "/events?after=0").status; }
  void check_refuses_writes_alone() {
    CHECK(ann.post() == 503);
    CHECK(ann.last().code() == "storage_unavailable");
    CHECK(ann.last().raw.has("retry-after"));
    CHECK(readiness() == "degraded");
    CHECK(read() == 200);
  }
  void check_takes_writes() {
    CHECK(ann.post() == 202);
    CHECK(readiness() == "ready");
    ann.check_all();
  }
  // Posts until the process is gone, and starts it again.
  void check_ends(const std::vector<std::string>& words) {
    try {
      while (ann.post() == 202) {
      }
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the connection ended with the process
    }
    CHECK(h.server.wait_end() == 1);
    for (const auto& w : words)
      check_said(h.server, w);
  }

  const bad_disk disk{MARU_BAD_DISK};
  std::atomic<std::uint32_t> piece_every_ms{1};
  house h{MARU_BINARY, [this](const auto& asked) { return test::answers(5, piece_every_ms)(asked); },
          with(disk)};
  talker ann{h, "ann"};
};

// The pages that hold the text are no pages of a tree any more.
int spoil_pages_with(const fs::path& database, const std::string& text) {
  constexpr std::size_t page = 4096;
  std::fstream file(database, std::ios::binary | std::ios::in | std::ios::out);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  int spoiled = 0;
  for (std::size_t at = page; at + page <= bytes.size(); at += page) {
    if (bytes.find(text, at) >= at + page) continue;
    file.seekp(static_cast<std::streamoff>(at));
    file.put('x');
    ++spoiled;
  }
  return spoiled;
}

} // namespace

TEST_CASE(
    "a file system that turns read-only refuses writes, reads go on, and writable again it takes them") {
  shaken_house s;
  s.ann.post_many(5);
  s.disk->write_error = EROFS;
  s.check_refuses_writes_alone();
  check_said(s.h.server, "the disk takes no writes");
  check_said(s.h.server, "make the file and its file system writable");
  s.disk->write_error = 0;
  s.check_takes_writes();
  s.h.server.kill();
  s.h.server.start();
  s.ann.check_all();
}

TEST_CASE("a write or a sync that fails ends the server at once, and what was acknowledged is there again") {
  shaken_house s;
  s.ann.post_many(5);
  SECTION("a write") {
    s.disk->write_error = EIO;
    s.check_ends({"Input/output error", "look at the disk (dmesg) before you start again"});
  }
  SECTION("a sync") {
    s.disk->sync_error = EIO;
    s.check_ends({"a sync to the disk failed", "dmesg"});
  }
  SECTION("a sync, for want of room") {
    s.disk->sync_error = ENOSPC;
    s.check_ends({"a sync to the disk failed"});
  }
  SECTION("a sync, as long as it is started again") {
    s.disk->sync_error = EIO;
    s.check_ends({"a sync to the disk failed"});
    s.h.server.begin_start();
    CHECK(s.h.server.wait_end() == 1);
  }
  s.disk->write_error = s.disk->sync_error = 0;
  s.h.server.start();
  s.check_takes_writes();
}

TEST_CASE("damage met while it runs ends the server at once, and says what to do") {
  shaken_house s;
  s.ann.post_many(5);
  for (int n = 0; n < 100; ++n)
    REQUIRE(s.ann.post("a needle " + std::string(500, 'n')) == 202);
  CHECK(s.h.server.terminate() == 0);
  REQUIRE(spoil_pages_with(s.database(), "a needle") > 10);
  s.h.server.start();
  SECTION("in a read") {
    try {
      s.read();
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the connection ended with the process
    }
    CHECK(s.h.server.wait_end() == 1);
    check_said(s.h.server, "the database is damaged");
    check_said(s.h.server, "maru restore");
  }
  SECTION("in a commit") { s.check_ends({"the database is damaged", "maru restore"}); }
}

TEST_CASE("a database that another program holds for long refuses writes, and names the cure") {
  shaken_house s;
  s.ann.post_many(5);
  {
    connection other(s.database(), connection::mode::write);
    other.exec("BEGIN EXCLUSIVE");
    s.check_refuses_writes_alone();
    check_said(s.h.server, "another program holds the database: end it");
  }
  s.check_takes_writes();
}

TEST_CASE(
    "a slow disk delays commits and loses none, reads do not wait for it, and answers come to their end") {
  shaken_house s;
  const auto c = s.h.device(s.ann.who(), s.ann.room());
  c->expect(test::expected_answer);
  s.disk->sync_delay_ms = 400;
  const auto question = c->send(s.ann.room(), "and slowly?");
  std::vector<std::string> lines;
  for (int n = 0; n < 500; ++n)
    lines.push_back(c->send(s.ann.room(), "line " + std::to_string(n), {{"agents", json::array()}}));
  int read_meanwhile = 0;
  while (c->unacked() > 0) {
    const bool waits = s.disk->syncing > 0;
    CHECK(s.read() == 200);
    if (waits && s.disk->syncing > 0) ++read_meanwhile;
    c->take_all();
  }
  CHECK(read_meanwhile > 0);
  CHECK(ended(*c, question)["data"]["text"] == test::expected_answer("and slowly?", 5));
  CHECK(c->errors().empty());
  s.h.server.kill();
  const auto kept = c->room(s.ann.room()).events.size();
  s.disk->sync_delay_ms = 0;
  s.h.server.start();
  CHECK(all_events(s.h.address(), s.ann.who(), s.ann.room()).size() == kept);
  CHECK(c->wrong() == "");
}

TEST_CASE(
    "a clock that jumps loses nothing: what is open stays open, and whoever is signed in signs on again") {
  shaken_house s;
  auto ann = s.ann.who();
  const auto c = s.h.device(ann, s.ann.room());
  c->expect(test::expected_answer);
  for (const long jump : {200'000L, -200'000L, 0L}) {
    CAPTURE(jump);
    s.disk->clock_ahead_s = jump;
    const auto question = c->send(s.ann.room(), "at " + std::to_string(jump));
    CHECK(ended(*c, question)["kind"] == "answer");
    const auto fresh =
        api(s.h.address(), "", "POST", "/api/v1/refresh", {{"refresh_token", ann.refresh_token}});
    REQUIRE(fresh.status == 200);
    ann.access_token = fresh.body["access_token"];
    ann.refresh_token = fresh.body["refresh_token"];
    CHECK(s.h.get(ann, "/api/v1/me").status == 200);
  }
  // Also across a start, for a question that waits meanwhile.
  s.piece_every_ms = 60'000;
  const auto waiting = c->send(s.ann.room(), "before the clock was set back");
  acked(*c, waiting);
  s.h.server.kill();
  s.disk->clock_ahead_s = -200'000;
  s.piece_every_ms = 1;
  s.h.server.start();
  c->disconnect();
  const auto fresh =
      api(s.h.address(), "", "POST", "/api/v1/refresh", {{"refresh_token", ann.refresh_token}});
  REQUIRE(fresh.status == 200);
  c->who().access_token = fresh.body["access_token"];
  REQUIRE(c->connect());
  CHECK(ended(*c, waiting)["kind"] == "answer");
  CHECK(c->wrong() == "");
}

} // namespace maru::tests
