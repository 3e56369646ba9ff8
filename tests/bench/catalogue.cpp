#include "tests/bench/catalogue.hpp"

#include <utility>

namespace maru::bench {
namespace {

// What can be run against any server runs against maru by itself.
measurement anywhere(std::string name, std::string help,
                     std::function<row(const options&, const place_maker&)> run_at) {
  auto run = [run_at](const options& o) {
    return run_at(o, [&](const model_options& model) { return std::make_unique<house>(o.where, model); });
  };
  return {std::move(name), std::move(help), std::move(run), std::move(run_at)};
}

measurement answers(std::string name, std::string help, std::size_t users, std::uint32_t delay_ms,
                    std::size_t pieces) {
  return anywhere(std::move(name), std::move(help), [=](const options& o, const place_maker& make) {
    const auto few = o.some(pieces);
    const auto at = make({few, delay_ms, "restart"});
    return measure_answers(*at, {o.some(users), delay_ms, few, o.history, o.time()});
  });
}

measurement posts(std::string name, std::string help, std::size_t in_flight, std::size_t rooms) {
  return {std::move(name), std::move(help),
          [=](const options& o) {
            return measure_posts(o.where, {o.some(in_flight, 20), o.some(rooms), 300, o.time()});
          },
          nullptr};
}

measurement pings(std::string name, std::string help, std::size_t window) {
  return anywhere(std::move(name), std::move(help), [=](const options& o, const place_maker& make) {
    const auto at = make({});
    return measure_pings(*at, {o.some(100), window, o.time()});
  });
}

measurement viewers(std::string name, std::string help, viewers_options what) {
  return {std::move(name), std::move(help),
          [=](const options& o) {
            auto mine = what;
            mine.viewers = o.some(what.viewers, 20);
            mine.slow = o.some(what.slow, 2);
            mine.time = o.time();
            return measure_viewers(o.where, mine);
          },
          nullptr};
}

measurement kill(std::string name, std::string help, std::string recovery, double wait_s) {
  return {std::move(name), std::move(help),
          [=](const options& o) {
            return measure_kill(o.where, {o.some(50), o.some(100, 20), 20, recovery, o.smoke ? 0 : wait_s});
          },
          nullptr};
}

start_options long_used(const options& o) { return {o.some(1000, 12), o.some(1000, 50), o.some(5, 1)}; }

} // namespace

measurement answers_cell(std::size_t users, std::uint32_t delay_ms, std::size_t pieces) {
  return answers("cell", "the cell of --cell", users, delay_ms, pieces);
}

const std::vector<measurement>& measurements() {
  static const std::vector<measurement> all{
      answers("answers-100", "answers/s, C=100 D=0 T=20", 100, 0, 20),
      answers("answers-500", "answers/s, C=500 D=20 T=20", 500, 20, 20),
      answers("first-1", "time to first piece, C=1 D=0 T=20", 1, 0, 20),
      answers("first-1-paced", "time to first piece, C=1 D=1 T=20", 1, 1, 20),
      answers("first-50", "time to first piece, C=50 D=20 T=20", 50, 20, 20),
      posts("posts-1", "durable posts/s, 1 in flight, 50 rooms", 1, 50),
      posts("posts-100", "100 in flight, 50 rooms", 100, 50),
      posts("posts-1000", "1000 in flight, 50 rooms", 1000, 50),
      posts("posts-room-100", "100 in flight, one room", 100, 1),
      posts("posts-room-1000", "1000 in flight, one room", 1000, 1),
      pings("pings-1", "ping/pong, 100 connections, 1 outstanding each", 1),
      pings("pings-16", "ping/pong, 100 connections, 16 outstanding each", 16),
      viewers("viewers", "one stream to 1,000 viewers, D=0 T=2000", {1000, 0, 0, 2000, 0, 0, false, {}}),
      viewers("viewers-paced", "the same, D=5 T=200: 200,000 frames/s to send",
              {1000, 0, 0, 200, 5, 0, false, {}}),
      viewers("viewers-silent", "as `viewers`, 100 of them read nothing",
              {1000, 100, 0, 2000, 0, 0, false, {}}),
      viewers("viewers-sipping", "as `viewers`, 100 of them read 10 kB/s",
              {1000, 100, 1000, 2000, 0, 0, false, {}}),
      viewers("viewers-cut", "messages of 200 kB to 100 viewers, 10 of them read nothing",
              {100, 10, 0, 0, 0, 200'000, true, {}}),
      kill("kill", "kill -9 in 50 streams of 100 pieces, started again at once", "restart", 0),
      kill("kill-continue", "the same, with a provider that can continue", "continue", 0),
      kill("kill-wait", "as `kill`, started after 1 s", "restart", 1),
      kill("kill-continue-wait", "as `kill-continue`, started after 1 s", "continue", 1),
      {"start", "process start to /readyz with a million stored messages",
       [](const options& o) { return measure_start(o.where, long_used(o)); }, nullptr},
      {"idle-rooms", "first open, post or question in a room of 1,000 messages that does not live",
       [](const options& o) { return measure_idle(o.where, long_used(o)); }, nullptr},
      {"memory", "resident memory at rest and per idle connection",
       [](const options& o) { return measure_memory(o.where, o.some(o.connections, 20), o.seconds); },
       nullptr},
  };
  return all;
}

} // namespace maru::bench
