#pragma once

#include "base/metrics.hpp"
#include "llm/provider.hpp"

namespace maru::llm {

// The same provider; its calls are counted under its name.
std::shared_ptr<provider> counted(std::shared_ptr<provider> inner, std::shared_ptr<metrics> counts);

} // namespace maru::llm
