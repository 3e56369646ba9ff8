#pragma once

#include <filesystem>

#include "config/settings.hpp"

namespace maru::app {

// `maru backup` and `maru restore`. Exit status.
int back_up(const config::settings& settings, const std::filesystem::path& to);
int restore(const config::settings& settings, const std::filesystem::path& from);

} // namespace maru::app
