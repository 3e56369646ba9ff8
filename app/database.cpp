#include "app/database.hpp"

#include <string_view>
#include <utility>

namespace maru::app {
namespace {

constexpr std::string_view scheme = "sqlite:";

} // namespace

std::optional<std::filesystem::path> database_file(const config::settings& settings) {
  if (!settings.storage.url.starts_with(scheme)) return std::nullopt;
  return settings.server.data / settings.storage.url.substr(scheme.size());
}

std::shared_ptr<storage::store> open_store(const config::settings& settings,
                                           std::function<void(std::string)> on_fatal,
                                           std::shared_ptr<metrics> counts) {
  const auto file = database_file(settings);
  storage::open_options options;
  options.url = file ? std::string{scheme} + file->string() : settings.storage.url;
  options.readers = settings.storage.readers;
  options.on_fatal = std::move(on_fatal);
  options.counts = std::move(counts);
  return storage::open(std::move(options));
}

} // namespace maru::app
