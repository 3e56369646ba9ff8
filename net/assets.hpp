#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace maru::net {

// A file of the browser client. All of it lives as long as the lookup that gave it.
struct asset {
  std::string_view bytes, type, etag; // the last with its quotes
};
using asset_lookup = std::function<std::optional<asset>(std::string_view path)>; // "index.html", "a/b.js"

// A directory read into memory once: nothing outside it can be asked for. Throws std::runtime_error.
asset_lookup assets_in(const std::filesystem::path& folder);

// Files that are in memory anyway and stay there.
struct asset_file {
  std::string_view path, bytes;
};
asset_lookup fixed_assets(std::span<const asset_file> files);

// The file for a decoded path of a request; the client's own routes get index.html.
std::optional<asset> find_asset(const asset_lookup& in, std::string_view path);

} // namespace maru::net
