#include "storage/store.hpp"

#include <array>

#include "storage/backend.hpp"
#include "storage/sqlite_store.hpp"

namespace maru::storage {

namespace {

constexpr std::array<std::string_view, 8> words{"none", "conflict",   "duplicate",   "fenced",
                                                "full", "overloaded", "unavailable", "fatal"};
constexpr std::string_view sqlite_scheme = "sqlite:";

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
  if (options.url.starts_with(sqlite_scheme)) {
    std::filesystem::path file = options.url.substr(sqlite_scheme.size());
    return sqlite::open_store(file, std::move(options));
  }
  const auto scheme = options.url.substr(0, options.url.find(':'));
  throw open_error{"storage.url has the scheme \"" + scheme + "\"; allowed is sqlite:FILE"};
}

std::size_t pump(store& s) { return dynamic_cast<backend&>(s).pump(); }

} // namespace maru::storage
