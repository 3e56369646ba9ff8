#pragma once

#include <vector>

#include "base/metrics.hpp"

namespace maru::actors {

// What Prometheus asks of every process: readings of process_*. Takes some ms at the most, from /proc.
std::vector<reading> process_readings();

} // namespace maru::actors
