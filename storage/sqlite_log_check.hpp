#pragma once

// The write-ahead log that a killed process left, looked at before SQLite does. SQLite takes it up to the
// first frame that is damaged and forgets the rest without a word. It has to: the end may be torn of a commit
// that nobody was told of. But what is damaged may be in the middle, or the log be that of another database.

#include <cstdint>
#include <filesystem>
#include <string>

namespace maru::storage::sqlite {

// The layout is SQLite's, for ever: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
inline constexpr std::size_t log_head_bytes = 32, log_frame_head_bytes = 24;

constexpr std::uint64_t log_size(std::uint64_t frames, std::uint64_t page) {
  return frames == 0 ? 0 : log_head_bytes + frames * (log_frame_head_bytes + page);
}

std::filesystem::path log_of(const std::filesystem::path& database);

// Why the log must not be taken up, and what to do; "" when it may.
std::string objection_to_log(const std::filesystem::path& database);

} // namespace maru::storage::sqlite
