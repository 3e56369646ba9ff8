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

// Why what this user makes in the data directory would be of no use to the server, and what to do; "" it is.
std::string closed_to_owner(const config::settings& settings);

// storage.url, its file within the data directory.
std::string database_url(const config::settings& settings);

// Throws storage::open_error.
std::shared_ptr<storage::store> open_store(const config::settings& settings,
                                           std::function<void(std::string)> on_fatal,
                                           std::shared_ptr<metrics> counts);

} // namespace maru::app
