#pragma once

// Whole copies of an embedded database, and their way back. Both take their time, on the caller's thread, and
// throw open_error.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace maru::storage {

struct backup_facts {
  std::uint64_t bytes = 0, accounts = 0, rooms = 0, events = 0;
};

// What the database holds at one moment, in a new file, whole and on disk when this returns. A server may use
// the database meanwhile, and hears nothing of it.
backup_facts back_up(const std::string& url, const std::filesystem::path& to);

struct restored {
  backup_facts facts;
  std::optional<std::filesystem::path> kept; // what was there before
};
// Puts the copy in the place of the database, which nobody may have open. A crash on the way leaves the one
// or the other.
restored restore(const std::string& url, const std::filesystem::path& from, std::int64_t now_ms);

} // namespace maru::storage
