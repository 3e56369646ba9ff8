#pragma once

#include "config/settings.hpp"

namespace maru::app {

// Runs a server until SIGTERM or SIGINT. Exit status.
int serve(config::settings settings);

} // namespace maru::app
