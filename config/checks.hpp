#pragma once

#include "config/report.hpp"

namespace maru::config {

// What no single value shows: names that must differ, references that must lead somewhere. Gives agents
// without a provider the first one.
void check(settings& all, report& problems);

} // namespace maru::config
