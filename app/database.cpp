#include "app/database.hpp"

#include <string_view>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace maru::app {
namespace {

constexpr std::string_view scheme = "sqlite:";

} // namespace

std::optional<std::filesystem::path> database_file(const config::settings& settings) {
  if (!settings.storage.url.starts_with(scheme)) return std::nullopt;
  return settings.server.data / settings.storage.url.substr(scheme.size());
}

std::string closed_to_owner(const config::settings& settings) {
  const auto& data = settings.server.data;
  struct stat owner{};
  if (::geteuid() != 0 || ::stat(data.c_str(), &owner) != 0 || owner.st_uid == 0) return "";
  return "what root makes in " + data.string() + " would be closed to its owner, user " +
         std::to_string(owner.st_uid) + "; run this as that user";
}

std::string database_url(const config::settings& settings) {
  const auto file = database_file(settings);
  return file ? std::string{scheme} + file->string() : settings.storage.url;
}

std::shared_ptr<storage::store> open_store(const config::settings& settings,
                                           std::function<void(std::string)> on_fatal,
                                           std::shared_ptr<metrics> counts) {
  storage::open_options options;
  options.url = database_url(settings);
  options.readers = settings.storage.readers;
  options.on_fatal = std::move(on_fatal);
  options.counts = std::move(counts);
  return storage::open(std::move(options));
}

} // namespace maru::app
