#pragma once

// Folders of the data directory. Both throw open_error.

#include <filesystem>

namespace maru::storage {

// Makes it and what is missing above it, each for its owner alone and on disk when this returns.
void make_folder(const std::filesystem::path& folder);

// A new name is on disk once its folder is.
void sync_folder(const std::filesystem::path& folder);

} // namespace maru::storage
