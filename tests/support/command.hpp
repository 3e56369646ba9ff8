#pragma once

// A program that is run to its end, with what it read and wrote.

#include <string>
#include <vector>

namespace maru::tests {

struct ran {
  int status = -1; // -1: a signal ended it
  std::string out, err;
};

// Without a terminal; `input` is its standard input.
ran run(const std::vector<std::string>& words, const std::string& input = "");

struct prompted {
  std::string prompt, answer; // typed once the prompt is seen
};
// On a terminal of its own; `out` is all that could be read on it.
ran run_on_terminal(const std::vector<std::string>& words, const std::vector<prompted>& said);

} // namespace maru::tests
