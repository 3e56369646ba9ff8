#include <array>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <random>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/seed.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

const auto room = id_of('r', 1);

step numbered(fence under, std::uint64_t seq) {
  const auto e = event_of(room, seq, id_of('e', seq));
  return {under,
          {enqueue{entry_of("m", id_of('n', seq))}, record_command{command_of(e, id_of('c', seq))},
           append_event{e}}};
}

// In the child, until it is killed: posts from `seq` on, some waiting at a time, and writes down each
// acknowledged number.
[[noreturn]] void post_until_killed(const std::string& url, std::uint64_t seq, unsigned most_waiting,
                                    int acks) {
  open_options options;
  options.url = url;
  auto s = open(std::move(options));
  const fence under{0, s->claim_shards("child")};
  std::mutex mutex;
  std::condition_variable changed;
  unsigned waiting = 0;
  const auto done = [&](std::uint64_t n) {
    return [&, n](const outcome& o) {
      if (!o || ::write(acks, &n, sizeof n) != sizeof n) ::_exit(3);
      const std::lock_guard guard(mutex);
      --waiting;
      changed.notify_one();
    };
  };
  for (;; ++seq) {
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return waiting < most_waiting; });
    ++waiting;
    guard.unlock();
    s->submit(numbered(under, seq), done(seq));
  }
}

std::uint64_t head_of(bench& b) {
  std::uint64_t out = 0;
  CHECK(b.look([&](reader& r) { out = r.room(room).value().head; }).empty());
  return out;
}

// Lets a child post, kills it after `acks_wanted` acknowledgements; returns the last number it acknowledged.
std::uint64_t post_and_kill(const std::string& url, std::uint64_t from, unsigned most_waiting,
                            std::uint64_t acks_wanted) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    post_until_killed(url, from, most_waiting, ends[1]);
  }
  ::close(ends[1]);
  std::uint64_t last = from - 1;
  std::uint64_t n = 0;
  std::uint64_t acks = 0;
  while (::read(ends[0], &n, sizeof n) == sizeof n) {
    CHECK(n == last + 1);
    last = n;
    if (++acks == acks_wanted) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(acks >= acks_wanted);
  return last;
}

// Nothing acknowledged is missing, and nothing is there by halves.
void check_whole(bench& b, std::uint64_t acknowledged) {
  const auto head = head_of(b);
  CHECK(head >= acknowledged);
  CHECK(b.look([&](reader& r) {
           const auto events = r.events_after(room, 0, head + 10, 1'000'000'000);
           REQUIRE(events.size() == head);
           CHECK(r.entries("m", head + 10).size() == head);
           for (const auto& e : events) {
             REQUIRE(e.id == id_of('e', e.seq));
             REQUIRE(r.command(room, id_of('u', 1), id_of('c', e.seq)).value().seq == e.seq);
           }
         }).empty());
}

void kill_rounds(int rounds) {
  std::mt19937 random(maru::tests::seed());
  bench b;
  b.must({create_room{room_of(room)}});
  for (int round = 0; round < rounds; ++round) {
    const auto most_waiting = std::uniform_int_distribution<unsigned>(1, 64)(random);
    const auto acks = std::uniform_int_distribution<std::uint64_t>(1, 400)(random);
    INFO("seed " << maru::tests::seed() << ", round " << round << ", waiting " << most_waiting << ", acks "
                 << acks);
    const auto from = head_of(b) + 1;
    b.close();
    const auto acknowledged = post_and_kill(b.folder().url(), from, most_waiting, acks);
    b.reopen();
    check_whole(b, acknowledged);
  }
}

} // namespace

TEST_CASE("a process killed while it writes loses nothing it has acknowledged") { kill_rounds(5); }

TEST_CASE("a process killed many times while it writes loses nothing it has acknowledged", "[long]") {
  kill_rounds(200);
}
