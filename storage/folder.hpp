#pragma once

// Folders of the data directory. All throw open_error.

#include <filesystem>
#include <string>

namespace maru::storage {

// Says what could not be done, why, and what an operator can do.
[[noreturn]] void refuse(const std::string& what, const std::filesystem::path& where, int system_error);

// Makes it and what is missing above it, each for its owner alone and on disk when this returns.
void make_folder(const std::filesystem::path& folder);

// A new name is on disk once its folder is.
void sync_folder(const std::filesystem::path& folder);

} // namespace maru::storage
