// A run in a process of its own. What a run follows from is then its plan alone: nothing that runs before it
// have left behind, and random bytes that are the same each time.

#include <array>
#include <cstring>
#include <iostream>

#include <nlohmann/json.hpp>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/simulator/simulation.hpp"

namespace maru::test {

namespace {

using json = nlohmann::json;

std::uint64_t drawn = 0;

std::uint64_t draw() { // splitmix64
  auto z = drawn += 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

void same_random_bytes() {
  static randombytes_implementation same{.implementation_name = [] { return "the same each time"; },
                                         .random = [] { return static_cast<std::uint32_t>(draw()); },
                                         .stir = nullptr,
                                         .uniform = nullptr,
                                         .buf =
                                             [](void* to, const std::size_t size) {
                                               for (std::size_t at = 0; at < size; at += sizeof drawn) {
                                                 const auto word = draw();
                                                 std::memcpy(static_cast<char*>(to) + at, &word,
                                                             std::min(size - at, sizeof word));
                                               }
                                             },
                                         .close = nullptr};
  randombytes_set_implementation(&same);
}

[[noreturn]] void run_and_tell(const plan& what, int to) {
  same_random_bytes();
  const auto how = simulate(what);
  std::cout.flush();
  const auto text =
      json{{"wrong", how.wrong}, {"steps", how.steps}, {"trace", how.trace}, {"met", how.met}}.dump(
          -1, ' ', false, json::error_handler_t::replace);
  for (std::size_t at = 0; at < text.size();) {
    const auto wrote = ::write(to, text.data() + at, text.size() - at);
    if (wrote <= 0) ::_exit(EXIT_FAILURE);
    at += static_cast<std::size_t>(wrote);
  }
  ::_exit(EXIT_SUCCESS);
}

} // namespace

verdict simulate_apart(const plan& what) {
  std::array<int, 2> ends{};
  std::cout.flush();
  if (::pipe(ends.data()) != 0) throw std::runtime_error{"no pipe"};
  const auto child = ::fork();
  if (child < 0) throw std::runtime_error{"no process"};
  if (child == 0) run_and_tell(what, ends[1]);
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t size = 0; (size = ::read(ends[0], part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  verdict out;
  if (status != 0) {
    out.wrong.push_back("the run itself fell, with status " + std::to_string(status));
    return out;
  }
  const auto told = json::parse(text);
  told["wrong"].get_to(out.wrong);
  told["steps"].get_to(out.steps);
  told["trace"].get_to(out.trace);
  told["met"].get_to(out.met);
  return out;
}

} // namespace maru::test
