#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace maru::net {

// All of it lives as long as the lookup that gave it.
struct representation {
  std::string_view bytes, etag; // the latter with its quotes
};

// A file of the browser client, as it is and compressed; where that is empty, there is none.
struct asset {
  std::string_view type;
  representation plain, gzip, br;
  bool immutable = false; // its name holds a hash of what is in it
};
using asset_lookup = std::function<std::optional<asset>(std::string_view path)>; // "index.html", "a/b.js"

// In both, `x.gz` and `x.br` are the compressed forms of `x` where that is there, and no files of their own.

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
