#pragma once

#include <vector>

#include "config/load.hpp"

namespace maru::config {

// What only this machine shows: that a server with these settings would not find what it needs. Looks, and
// changes nothing; whether an address is free is not asked, since a running server has its own.
std::vector<problem> problems_here(const settings& of);

} // namespace maru::config
