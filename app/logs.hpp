#pragma once

#include "config/settings.hpp"

namespace maru::app {

// To standard error: text for people, or one JSON object a line.
void set_up_logs(const config::log_settings& settings);

} // namespace maru::app
