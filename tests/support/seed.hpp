#pragma once

#include <cstdint>

#include "tests/support/catch.hpp"

namespace maru::tests {

// The seed of this run, which Catch2 prints and `--rng-seed` gives.
inline std::uint32_t seed() {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::getSeed();
#else
  return Catch::rngSeed();
#endif
}

} // namespace maru::tests
