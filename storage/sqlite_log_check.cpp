#include "storage/sqlite_log_check.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <fstream>
#include <string_view>

namespace maru::storage::sqlite {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t summed_of_frame_head = 8;
constexpr std::uint32_t magic = 0x377f0682; // the last bit: words are summed most significant byte first

std::uint32_t word_at(const char* at, bool big = true) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i)
    out |= static_cast<std::uint32_t>(static_cast<unsigned char>(at[i])) << (8 * (big ? 3 - i : i));
  return out;
}

struct sum {
  std::uint32_t first = 0, second = 0;
  bool operator==(const sum&) const = default;

  void add(std::string_view bytes, bool big) {
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      first += word_at(bytes.data() + i, big) + second;
      second += word_at(bytes.data() + i + 4, big) + first;
    }
  }
};
sum sum_at(const char* at) { return {word_at(at), word_at(at + 4)}; }

// Goes through the frames of this log; those of an older one, which it is written over, count as none.
class frames {
public:
  explicit frames(const fs::path& log) : in_(log, std::ios::binary) {
    std::array<char, log_head_bytes> head{};
    in_.read(head.data(), head.size());
    const std::string_view bytes(head.data(), head.size());
    blank_ = !in_ || zero(bytes);
    big_ = blank_ ? std::endian::native == std::endian::big : (word_at(bytes.data()) & 1U) != 0;
    before_.add(bytes.substr(0, 24), big_);
    good_ = (word_at(bytes.data()) & ~1U) == magic && before_ == sum_at(bytes.data() + 24);
    salt_ = bytes.substr(16, 8);
    frame_.resize(log_frame_head_bytes +
                  (blank_ ? page_bytes : std::min(word_at(bytes.data() + 8), largest_page)));
  }

  [[nodiscard]] bool blank() const { return blank_; } // its head is not there
  [[nodiscard]] bool good() const { return good_; }

  bool next() {
    if (!in_.read(frame_.data(), static_cast<std::streamsize>(frame_.size()))) return false;
    if (zero(salt_)) salt_ = frame_.substr(8, 8);
    ours_ = std::string_view(frame_).substr(8, 8) == salt_;
    // Each frame sums up all before it: the sum that stands in the one before is enough to tell.
    auto so_far = before_;
    so_far.add(std::string_view(frame_).substr(0, summed_of_frame_head), big_);
    so_far.add(std::string_view(frame_).substr(log_frame_head_bytes), big_);
    before_ = sum_at(frame_.data() + 16);
    whole_ = ours_ && so_far == before_;
    return true;
  }
  [[nodiscard]] bool ours() const { return ours_; }
  [[nodiscard]] bool whole() const { return whole_; }
  [[nodiscard]] bool ends_commit() const { return ours_ && word_at(frame_.data() + 4) != 0; }

private:
  static bool zero(std::string_view bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
  }

  static constexpr std::uint32_t largest_page = 65'536;
  static constexpr std::uint32_t page_bytes = 4096; // of every database that maru made
  std::ifstream in_;
  std::string frame_, salt_;
  sum before_;
  bool blank_ = false, good_ = false, big_ = false, ours_ = false, whole_ = false;
};

// A commit is synced before the next one is written. So damage before a commit that another follows is none
// that a kill or a power cut leaves behind. The head is written with the first commit.
bool damaged(const fs::path& log) {
  frames at(log);
  if (!at.blank() && !at.good()) return true;
  bool hole = at.blank(), commit_behind = false;
  while (at.next()) {
    if (commit_behind && at.whole()) return true;
    hole = hole || !at.whole();
    commit_behind = hole && at.ends_commit();
  }
  return false;
}

// Two bytes of its head say how a database was last written; a copy by `maru backup` says: without a log.
bool foreign(const fs::path& database) {
  std::array<char, 20> head{};
  std::ifstream(database, std::ios::binary).read(head.data(), head.size());
  return head[18] == 1 && head[19] == 1;
}

} // namespace

fs::path log_of(const fs::path& database) { return database.string() + "-wal"; }

std::string objection_to_log(const fs::path& database) {
  const auto log = log_of(database);
  std::error_code ignored;
  if (const auto size = fs::file_size(log, ignored); ignored || size == 0) return "";
  if (foreign(database))
    return log.string() + " is the log of another database: it was left when " + database.string() +
           " was put there by hand. Remove it to go on with what was put there; `maru restore` does both";
  if (damaged(log))
    return log.string() +
           " is damaged, and commits that were acknowledged are behind the damage. Look at the disk; " +
           "then restore a backup with `maru restore`, which keeps both files, or go on with what is before "
           "the " +
           "damage: sqlite3 " + database.string() + " 'PRAGMA wal_checkpoint(TRUNCATE)'";
  return "";
}

} // namespace maru::storage::sqlite
