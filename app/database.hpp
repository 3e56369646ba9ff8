#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/metrics.hpp"
#include "config/settings.hpp"
#include "storage/store.hpp"

namespace maru::app {

// The file of an embedded database.
std::optional<std::filesystem::path> database_file(const config::settings& settings);

// Throws storage::open_error.
std::shared_ptr<storage::store> open_store(const config::settings& settings,
                                           std::function<void(std::string)> on_fatal,
                                           std::shared_ptr<metrics> counts);

} // namespace maru::app
