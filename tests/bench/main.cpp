#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tests/bench/catalogue.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/peer.hpp"

namespace {

using namespace maru::bench;

struct command {
  options how;
  std::vector<std::string> only;
  std::vector<std::size_t> cell; // C D T
  std::size_t rounds = 1;
  std::string save, compare;
  bool peer = false, json = false, list = false;
};

// A name means itself; what is no name means all that begin so.
bool wanted(const command& c, const std::string& name) {
  if (c.only.empty()) return c.cell.empty();
  const auto is_name = [](const std::string& word) {
    return std::any_of(measurements().begin(), measurements().end(),
                       [&](const auto& one) { return one.name == word; });
  };
  return std::any_of(c.only.begin(), c.only.end(), [&](const std::string& word) {
    return word == name || (!is_name(word) && name.starts_with(word));
  });
}

std::vector<measurement> chosen(const command& c) {
  std::vector<measurement> out;
  for (const auto& one : measurements())
    if (wanted(c, one.name)) out.push_back(one);
  if (!c.cell.empty())
    out.push_back(answers_cell(c.cell[0], static_cast<std::uint32_t>(c.cell[1]), c.cell[2]));
  if (out.empty()) throw std::runtime_error("there is no such measurement; --list tells them");
  return out;
}

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

nlohmann::json read_json(const std::string& file) {
  std::ifstream in(file);
  auto out = nlohmann::json::parse(in, nullptr, false);
  if (out.is_discarded()) throw std::runtime_error("not a saved run: " + file);
  return out;
}

class run {
public:
  explicit run(const command& c) : c_(c), about_(about_this_run(c.how.where.server, c.how.where.folder)) {}

  int all();

private:
  void measure(const measurement& what);
  void take(rounds one);
  int tell_smoke() const;

  const command& c_;
  const nlohmann::json about_;
  std::vector<rounds> done_;
};

// With a peer the two take turns, so that both meet the same weather.
void run::measure(const measurement& what) {
  rounds mine, theirs;
  const bool beside = c_.peer && what.run_at;
  for (std::size_t i = 0; i < c_.rounds; ++i) {
    mine.add(what.run(c_.how));
    if (beside)
      theirs.add(what.run_at(c_.how,
                             [](const model_options& model) { return std::make_unique<peer_house>(model); }));
  }
  auto both = beside ? ratio(mine, theirs, mine.measurement + ": maru / bare ws") : rounds{};
  take(std::move(mine));
  if (!beside) return;
  take(std::move(theirs));
  take(std::move(both));
}

void run::take(rounds one) {
  if (!c_.json) print_table(one);
  done_.push_back(std::move(one));
}

// For ctest: a measurement that gives no figures or meets a failure has failed. No time is asserted.
int run::tell_smoke() const {
  const auto good = std::count_if(done_.begin(), done_.end(), [](const rounds& one) {
    return one.failed.count() == 0 && !one.lines.empty() && one.lines.front().median() > 0;
  });
  const auto bad = static_cast<std::ptrdiff_t>(done_.size()) - good;
  std::printf("bench: %td passed, %td failed\n", good, bad);
  return bad == 0 ? 0 : 1;
}

int run::all() {
  const auto then = c_.compare.empty() ? nlohmann::json() : read_json(c_.compare);
  if (c_.peer) prepare_peer();
  if (!c_.json)
    for (const auto& [name, value] : about_.items())
      std::printf("%s: %s\n", name.c_str(),
                  (value.is_string() ? value.get<std::string>() : value.dump()).c_str());
  for (const auto& one : chosen(c_))
    measure(one);
  const auto json = json_of(done_, about_);
  if (c_.json) std::printf("%s\n", json.dump(2).c_str());
  if (!c_.save.empty() && !(std::ofstream(c_.save) << json.dump(2) << "\n"))
    throw std::runtime_error("cannot write " + c_.save);
  if (then.is_object()) print_comparison(done_, then);
  if (c_.how.smoke) return tell_smoke();
  return std::all_of(done_.begin(), done_.end(), [](const rounds& one) { return one.failed.count() == 0; })
             ? 0
             : 1;
}

void declare(CLI::App& app, command& c) {
  auto& where = c.how.where;
  app.add_option("measurement", c.only, "Which to run, by name or its beginning; without: all");
  app.add_option("--seconds", c.how.seconds, "How long each is measured");
  app.add_option("--warm", c.how.warm, "How long before that it runs uncounted, in seconds");
  app.add_option("--rounds", c.rounds, "How often each is measured")->check(CLI::Range(1, 1000));
  app.add_option("--connections", c.how.connections, "Idle connections for `memory`");
  app.add_option("--cell", c.cell, "C D T: answers with C users, pieces D ms apart, T pieces")->expected(3);
  app.add_option("--server", where.server, "The maru binary");
  app.add_option("--folder", where.folder, "Where temporary folders are made: the disk that is measured");
  app.add_option("--set", where.sets, "KEY=VALUE for the server; may be repeated")->take_all();
  app.add_option("--save", c.save, "Write the run to this file, as JSON");
  app.add_option("--compare", c.compare, "A saved run: what is measured now, divided by that");
  app.add_flag("--peer", c.peer,
               "Where it can do the same, a bare `ws` server of Node takes turns with maru");
  app.add_flag("--history", c.how.history, "The model is told the turns before");
  app.add_flag("--keep", where.keep, "Leave the server's folder, and filled databases for the next run");
  app.add_flag("--smoke", c.how.smoke, "Little of everything: only whether it works");
  app.add_flag("--json", c.json, "Print JSON");
  app.add_flag("--list", c.list, "Print what can be measured");
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures the maru server"};
  command c;
  c.how.where.server = MARU_BINARY;
  c.how.where.folder = std::filesystem::temp_directory_path();
  declare(app, c);
  CLI11_PARSE(app, argc, argv);
  if (c.list) {
    for (const auto& one : measurements())
      std::printf("%-18s %s\n", one.name.c_str(), one.help.c_str());
    return 0;
  }
  if (c.how.smoke) c.how.seconds = c.how.warm = 0.1;
  ::signal(SIGPIPE, SIG_IGN);
  raise_open_files();
  try {
    return run(c).all();
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 2;
  }
}
