// maru_simulator: runs of the whole under faults, many or one.

#include <cstdlib>
#include <iostream>
#include <random>

#include <CLI/CLI.hpp>
#include <spdlog/spdlog.h>

#include "tests/simulator/mutations.hpp"
#include "tests/simulator/simulation.hpp"

using namespace maru::test;

namespace {

void tell(const plan& what, const verdict& how, const std::string& mutation) {
  std::cout << "seed " << what.seed << " breaks a promise at step " << how.steps << ":\n";
  for (const auto& line : how.wrong)
    std::cout << "  " << line << "\n";
  std::cout << "replay: " << command_for(what, mutation) << std::endl;
}

struct orders {
  std::uint64_t seed = 0, first = 1, runs = 0;
  std::uint64_t steps = 0;
  std::vector<std::size_t> without;
  std::string mutation;
  bool trace = false, shrink = false, hunt = false, random = false;
};

int one(const orders& o) {
  plan p;
  p.seed = o.seed;
  if (o.steps > 0) p.steps = o.steps;
  p.without = {o.without.begin(), o.without.end()};
  if (o.trace) p.trace = [](const std::string& line) { std::cout << line << "\n"; };
  auto how = simulate_apart(p);
  if (how.wrong.empty()) {
    std::cout << "seed " << p.seed << " keeps every promise; trace " << std::hex << how.trace << std::endl;
    return EXIT_SUCCESS;
  }
  tell(p, how, o.mutation);
  if (!o.shrink) return EXIT_FAILURE;
  p.trace = nullptr;
  const auto small = shrink(p);
  std::cout << "shrunk: " << command_for(small, o.mutation) << std::endl;
  return EXIT_FAILURE;
}

int many(const orders& o) {
  tally met;
  std::uint64_t failed = 0;
  for (auto seed = o.first; seed < o.first + o.runs; ++seed) {
    plan p;
    p.seed = seed;
    const auto how = simulate_apart(p);
    for (const auto& [what, count] : how.met)
      met[what] += count;
    if (how.wrong.empty()) continue;
    ++failed;
    tell(p, how, o.mutation);
  }
  for (const auto& [what, count] : met)
    std::cout << "met " << count << " times: " << what << "\n";
  std::cout << "seeds " << o.first << ".." << o.first + o.runs - 1 << ": " << o.runs - failed << " passed, "
            << failed << " failed" << std::endl;
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// How many seeds it takes to find each mutation.
int hunt(const orders& o) {
  std::size_t missed = 0;
  for (const auto& m : mutations) {
    if (!o.mutation.empty() && o.mutation != m.name) continue;
    const mutated in_force(m.what);
    plan p;
    verdict how;
    for (p.seed = o.first; p.seed < o.first + m.seeds && how.wrong.empty(); ++p.seed)
      how = simulate_apart(p);
    std::cout << m.name << ": ";
    if (how.wrong.empty())
      std::cout << "NOT FOUND within " << m.seeds << " seeds\n";
    else
      std::cout << "found after " << p.seed - o.first << " of " << m.seeds
                << " seeds: " << how.wrong.front().substr(0, 150) << "\n";
    missed += how.wrong.empty() ? 1 : 0;
  }
  std::cout << "mutations: " << (o.mutation.empty() ? mutations.size() : 1) - missed << " passed, " << missed
            << " failed" << std::endl;
  return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  orders o;
  CLI::App app{"Runs of the whole of maru under faults that follow from a seed", "maru_simulator"};
  app.add_option("--seed", o.seed, "replay this one run");
  app.add_option("--steps", o.steps, "of the run: no more than so many steps");
  app.add_option("--without", o.without, "of the run: leave out these steps")->delimiter(',');
  app.add_flag("--trace", o.trace, "of the run: print each line of it");
  app.add_flag("--shrink", o.shrink, "of the run: if it fails, look for a shorter one");
  app.add_option("--runs", o.runs, "so many runs");
  app.add_option("--first", o.first, "the seed of the first of them");
  app.add_option("--mutation", o.mutation, "with this deliberate fault in the product");
  app.add_flag("--random", o.random, "begin them at any seed, which is printed");
  app.add_flag("--hunt", o.hunt, "look for each deliberate fault");
  CLI11_PARSE(app, argc, argv);
  if (o.random) o.first = std::random_device{}() % 1'000'000'000U;
  if (o.hunt) return hunt(o);
  const auto what = mutation_of(o.mutation);
  if (!o.mutation.empty() && !what) {
    std::cerr << "there is no mutation '" << o.mutation << "'; there are:\n";
    for (const auto& m : mutations)
      std::cerr << "  " << m.name << ": " << m.means << "\n";
    return 2;
  }
  const mutated in_force(what.value_or(mutation::none));
  return o.runs > 0 ? many(o) : one(o);
}
