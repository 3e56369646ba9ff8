#pragma once

// A database with many rooms full of messages, made by the storage library itself.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/bench/house.hpp"

namespace maru::bench {

struct filled_data {
  std::filesystem::path data; // for server.data
  std::string owner;          // signs in by this name; member of all rooms
  std::vector<std::string> rooms;
  double mebibytes = 0;
};

// Made once for a run; with `keep` it stays in the folder and is found there by the next.
const filled_data& filled(const house_options& where, std::size_t rooms, std::size_t messages);

} // namespace maru::bench
