#include "storage/store.hpp"

#include <array>

#include "storage/backend.hpp"
#include "storage/backup.hpp"
#include "storage/sqlite_backup.hpp"
#include "storage/sqlite_store.hpp"

namespace maru::storage {

namespace {

constexpr std::array<std::string_view, 8> words{"none", "conflict",   "duplicate",   "fenced",
                                                "full", "overloaded", "unavailable", "fatal"};
constexpr std::string_view sqlite_scheme = "sqlite:";

std::filesystem::path file_behind(const std::string& url) {
  if (url.starts_with(sqlite_scheme)) return url.substr(sqlite_scheme.size());
  throw open_error{"storage.url has the scheme \"" + url.substr(0, url.find(':')) +
                   "\"; allowed is sqlite:FILE"};
}

} // namespace

std::uint32_t shard_of(const uuid& id) {
  std::uint64_t hash = 0xcbf29ce484222325U; // FNV-1a
  for (const auto byte : id.bytes) {
    hash ^= byte;
    hash *= 0x100000001b3U;
  }
  return static_cast<std::uint32_t>((hash ^ (hash >> 32U)) % shard_count);
}

std::string_view word(failure why) { return words.at(static_cast<std::size_t>(why)); }

std::unique_ptr<store> open(open_options options) {
  const auto file = file_behind(options.url);
  return sqlite::open_store(file, std::move(options));
}

backup_facts back_up(const std::string& url, const std::filesystem::path& to) {
  return sqlite::back_up(file_behind(url), to);
}

restored restore(const std::string& url, const std::filesystem::path& from, std::int64_t now_ms) {
  return sqlite::restore(file_behind(url), from, now_ms);
}

std::size_t pump(store& s) { return dynamic_cast<backend&>(s).pump(); }

} // namespace maru::storage
