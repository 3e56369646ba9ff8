#pragma once

#include <filesystem>

namespace maru::app {

// `maru tree`: the live supervision tree of the server that runs on this data. The exit status.
int show_tree(const std::filesystem::path& data, bool as_json);

} // namespace maru::app
