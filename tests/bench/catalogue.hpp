#pragma once

// What can be measured, by name, and how much of it.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/measure.hpp"

namespace maru::bench {

struct options {
  house_options where;
  double seconds = 5, warm = 1;
  std::size_t connections = 10'000;
  bool history = false;
  bool smoke = false; // only whether it works: little of everything

  [[nodiscard]] span time() const { return {warm, seconds}; }
  [[nodiscard]] std::size_t some(std::size_t wanted, std::size_t in_smoke = 5) const {
    return smoke ? std::min(wanted, in_smoke) : wanted;
  }
};

using place_maker = std::function<std::unique_ptr<place>(const model_options&)>;

struct measurement {
  std::string name, help;
  std::function<row(const options&)> run;
  // The same for any server that answers; empty where only maru can do it.
  std::function<row(const options&, const place_maker&)> run_at;
};

const std::vector<measurement>& measurements();
measurement answers_cell(std::size_t users, std::uint32_t delay_ms, std::size_t pieces);

} // namespace maru::bench
