#pragma once

// The measurements. Each checks what it is told, and says in `failed` what was not as promised.

#include <cstddef>
#include <cstdint>

#include "tests/bench/house.hpp"
#include "tests/bench/report.hpp"

namespace maru::bench {

struct span {
  double warm_s = 1; // not counted
  double seconds = 5;
};

// A closed loop of `users`, each with a room of its own and one question outstanding.
struct answers_options {
  std::size_t users = 100;
  std::uint32_t delay_ms = 0;
  std::size_t pieces = 20;
  bool history = false; // the model is told the turns before; otherwise each question begins a new tree
  span time;
};
row measure_answers(place& at, const answers_options& what); // its model streams as `what` says

// One connection keeps `in_flight` messages that ask nobody on their way to the disk.
struct posts_options {
  std::size_t in_flight = 100;
  std::size_t rooms = 50;
  std::size_t text_bytes = 300;
  span time;
};
row measure_posts(const house_options& where, const posts_options& what);

// Each connection keeps `window` pings outstanding.
struct pings_options {
  std::size_t connections = 100;
  std::size_t window = 1;
  span time;
};
row measure_pings(place& at, const pings_options& what);

// A room that `viewers` watch, `slow` of which read nothing, or `sip_bytes` ten times a second.
struct viewers_options {
  std::size_t viewers = 1000;
  std::size_t slow = 0;
  std::size_t sip_bytes = 0;
  std::size_t pieces = 2000; // of each answer; 0: messages of `post_bytes` instead
  std::uint32_t delay_ms = 0;
  std::size_t post_bytes = 0;
  bool slow_are_cut = false; // it is so much that each slow one must be closed
  span time;
};
row measure_viewers(const house_options& where, const viewers_options& what);

// kill -9 in the middle of `streams` answers; `wait_s` later the server is started again.
struct kill_options {
  std::size_t streams = 50;
  std::size_t pieces = 100;
  std::uint32_t delay_ms = 20;
  std::string recovery = "restart";
  double wait_s = 0;
};
row measure_kill(const house_options& where, const kill_options& what);

// A server on a database that has been used for long.
struct start_options {
  std::size_t rooms = 1000;
  std::size_t messages = 1000; // in each
  std::size_t starts = 5;      // of each kind
};
row measure_start(const house_options& where, const start_options& what); // from process start to /readyz
row measure_idle(const house_options& where, const start_options& what);  // rooms and agents brought to life

// Connections that have said hello and do nothing, each of a person of its own.
row measure_memory(const house_options& where, std::size_t connections, double seconds);

} // namespace maru::bench
