#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace maru::net {

// A file of the browser client. The bytes live as long as the process or the holder.
struct asset {
  std::string_view bytes, type;
};
using asset_lookup = std::function<std::optional<asset>(std::string_view path)>; // "index.html", "a/b.js"

// A directory read into memory once: nothing outside it can be asked for. Throws std::runtime_error.
class asset_folder {
public:
  explicit asset_folder(const std::filesystem::path& from);
  [[nodiscard]] std::optional<asset> find(std::string_view path) const;

private:
  std::map<std::string, std::string, std::less<>> files_;
};

std::string_view content_type(std::string_view path);
std::string etag_of(std::string_view bytes); // with its quotes

// The file for a decoded path of a request; the client's own routes get index.html.
std::optional<asset> find_asset(const asset_lookup& in, std::string_view path);

} // namespace maru::net
