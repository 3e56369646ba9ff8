#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "tests/bench/measure.hpp"

namespace {

using namespace maru::bench;

struct options {
  house_options where;
  std::vector<std::string> only;
  double seconds = 5, warm = 1;
  std::size_t connections = 2000;
  std::vector<std::size_t> cell; // C D T
  bool history = false, json = false, list = false;

  [[nodiscard]] span time() const { return {warm, seconds}; }
};

struct measurement {
  std::string name, help;
  std::function<row(const options&)> run;
};

row answers(const options& o, std::size_t users, std::uint32_t delay_ms, std::size_t pieces) {
  return measure_answers(o.where, {users, delay_ms, pieces, o.history, o.time()});
}

row posts(const options& o, std::size_t in_flight, std::size_t rooms) {
  return measure_posts(o.where, {in_flight, rooms, 300, o.time()});
}

const std::vector<measurement>& measurements() {
  static const std::vector<measurement> all{
      {"answers-100", "answers/s, C=100 D=0 T=20", [](const options& o) { return answers(o, 100, 0, 20); }},
      {"answers-500", "answers/s, C=500 D=20 T=20", [](const options& o) { return answers(o, 500, 20, 20); }},
      {"first-1", "time to first piece, C=1 D=1 T=20", [](const options& o) { return answers(o, 1, 1, 20); }},
      {"first-50", "time to first piece, C=50 D=20 T=20",
       [](const options& o) { return answers(o, 50, 20, 20); }},
      {"posts-1", "durable posts/s, 1 in flight, 50 rooms", [](const options& o) { return posts(o, 1, 50); }},
      {"posts-100", "100 in flight, 50 rooms", [](const options& o) { return posts(o, 100, 50); }},
      {"posts-1000", "1000 in flight, 50 rooms", [](const options& o) { return posts(o, 1000, 50); }},
      {"posts-room-100", "100 in flight, one room", [](const options& o) { return posts(o, 100, 1); }},
      {"posts-room-1000", "1000 in flight, one room", [](const options& o) { return posts(o, 1000, 1); }},
      {"pings-1", "ping/pong, 100 connections, 1 outstanding each",
       [](const options& o) { return measure_pings(o.where, {100, 1, o.time()}); }},
      {"pings-16", "ping/pong, 100 connections, 16 outstanding each",
       [](const options& o) { return measure_pings(o.where, {100, 16, o.time()}); }},
      {"memory", "resident memory at rest and per idle connection",
       [](const options& o) { return measure_memory(o.where, o.connections, o.seconds); }},
  };
  return all;
}

// A name means itself; what is no name means all that begin so.
bool wanted(const options& o, const std::string& name) {
  if (o.only.empty()) return o.cell.empty();
  const auto is_name = [](const std::string& word) {
    return std::any_of(measurements().begin(), measurements().end(),
                       [&](const auto& one) { return one.name == word; });
  };
  return std::any_of(o.only.begin(), o.only.end(), [&](const std::string& word) {
    return word == name || (!is_name(word) && name.starts_with(word));
  });
}

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t run(const options& o) {
  std::vector<row> rows;
  std::uint64_t failed = 0;
  const auto take = [&](row one) {
    failed += one.failed.count();
    rows.push_back(std::move(one));
    if (!o.json) print_table({rows.back()});
  };
  for (const auto& one : measurements())
    if (wanted(o, one.name)) take(one.run(o));
  if (!o.cell.empty()) take(answers(o, o.cell[0], static_cast<std::uint32_t>(o.cell[1]), o.cell[2]));
  if (o.json) print_json(rows);
  return failed;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures the maru server: answers, latency, durable posts, pings, memory"};
  options o;
  o.where.server = MARU_BINARY;
  o.where.folder = std::filesystem::temp_directory_path();
  app.add_option("measurement", o.only, "Which to run, by name or its beginning; without: all");
  app.add_option("--seconds", o.seconds, "How long each is measured");
  app.add_option("--warm", o.warm, "How long before that it runs uncounted, in seconds");
  app.add_option("--connections", o.connections, "Idle connections for `memory`");
  app.add_option("--cell", o.cell, "C D T: answers with C users, pieces D ms apart, T pieces")->expected(3);
  app.add_option("--server", o.where.server, "The maru binary");
  app.add_option("--folder", o.where.folder,
                 "Where the temporary folders are made: the disk that is measured");
  app.add_option("--set", o.where.sets, "KEY=VALUE for the server; may be repeated")->take_all();
  app.add_flag("--history", o.history, "The model is told the turns before");
  app.add_flag("--keep", o.where.keep, "Leave the server's folder");
  app.add_flag("--json", o.json, "Print JSON");
  app.add_flag("--list", o.list, "Print what can be measured");
  CLI11_PARSE(app, argc, argv);
  if (o.list) {
    for (const auto& one : measurements())
      std::printf("%-16s %s\n", one.name.c_str(), one.help.c_str());
    return 0;
  }
  ::signal(SIGPIPE, SIG_IGN);
  raise_open_files();
  try {
    return run(o) == 0 ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 2;
  }
}
