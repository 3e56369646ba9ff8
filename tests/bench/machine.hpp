#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace maru::bench {

// What the figures rest on: commit, date, processor, memory, kernel, compiler, disk.
nlohmann::json about_this_run(const std::string& server, const std::filesystem::path& folder);

} // namespace maru::bench
