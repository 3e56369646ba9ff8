#pragma once

// What the tests of the store share: a folder of its own, ids from numbers, steps in one line.

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <stdlib.h>
#include <unistd.h>

#include "storage/store.hpp"
#include "tests/support/catch.hpp"

namespace maru::storage::tests {

class temp_folder {
public:
  explicit temp_folder(const std::filesystem::path& place = std::filesystem::temp_directory_path()) {
    auto name = (place / "maru_storage_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
  }
  temp_folder(const temp_folder&) = delete;
  temp_folder& operator=(const temp_folder&) = delete;
  ~temp_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::filesystem::path file() const { return path_ / "maru.db"; }
  [[nodiscard]] std::string url() const { return "sqlite:" + file().string(); }

private:
  std::filesystem::path path_;
};

// Where a test that opens hundreds of stores does not wait for a disk.
inline std::filesystem::path memory_place() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

// Ids of different kinds never meet.
inline uuid id_of(char kind, std::uint64_t n) {
  uuid out;
  out.bytes[0] = static_cast<std::uint8_t>(kind);
  for (std::size_t i = 15; i > 7; --i, n >>= 8U)
    out.bytes[i] = static_cast<std::uint8_t>(n);
  return out;
}

inline room_row room_of(const uuid& id, std::int64_t active_at = 0) {
  return {id, "a room", {"maru", "second"}, id_of('u', 1), 5, 0, 1, active_at};
}

inline event_row event_of(const uuid& room, std::uint64_t seq, const uuid& id,
                          const std::string& kind = "message") {
  event_row out;
  out.room = room;
  out.seq = seq;
  out.id = id;
  out.kind = kind;
  out.at = static_cast<std::int64_t>(1000 + seq);
  out.author = {"user", id_of('u', 1), "Ana"};
  out.data = R"({"text":")" + std::to_string(seq) + R"("})";
  return out;
}

inline command_row command_of(const event_row& e, const uuid& id) {
  return {e.room, e.author.id, id, std::string(32, '\0'), e.seq, e.id, "[]"};
}

inline mailbox_entry entry_of(const std::string& mailbox, const uuid& id, std::int64_t visible_at = 0) {
  mailbox_entry out;
  out.mailbox = mailbox;
  out.id = id;
  out.kind = "question";
  out.body = R"({"a":1})";
  out.enqueued_at = 7;
  out.visible_at = visible_at;
  return out;
}

inline answer_row answer_of(const uuid& id, const event_row& question, const std::string& agent = "maru") {
  answer_row out;
  out.id = id;
  out.room = question.room;
  out.question = question.id;
  out.question_seq = question.seq;
  out.agent = agent;
  out.asker = question.author.id;
  return out;
}

// A store moved by hand, and its answers.
class bench {
public:
  explicit bench(fault_probe probe = {},
                 const std::filesystem::path& place = std::filesystem::temp_directory_path())
      : folder_(place) {
    reopen(std::move(probe));
  }

  void reopen(fault_probe probe = {}) {
    store_.reset();
    open_options options;
    options.url = folder_.url();
    options.threads = threading::manual;
    options.probe = std::move(probe);
    options.counts = counts;
    options.on_fatal = [this](const std::string& why) { fatal.push_back(why); };
    store_ = open(std::move(options));
    epoch = store_->claim_shards("here");
  }

  // Puts a step in the queue; its outcome appears in `answered` under its number.
  std::size_t put(std::vector<part> parts) { return put_under({0, epoch}, std::move(parts)); }

  std::size_t put_under(fence under, std::vector<part> parts) {
    const auto n = outcomes.size();
    outcomes.emplace_back();
    store_->submit({under, std::move(parts)}, [this, n](outcome o) {
      outcomes[n] = std::move(o);
      order.push_back(n);
    });
    return n;
  }

  outcome commit(std::vector<part> parts) {
    const auto n = put(std::move(parts));
    pump(*store_);
    REQUIRE(!order.empty());
    return outcomes[n];
  }

  void must(std::vector<part> parts) {
    const auto result = commit(std::move(parts));
    INFO(result.detail);
    REQUIRE(result.why == failure::none);
  }

  // What the read failed with; empty when it did not.
  std::string look(const read_job& job) {
    std::string failed;
    store_->read(job, [&failed](const std::string& why) { failed = why; });
    pump(*store_);
    return failed;
  }

  void group() { pump(*store_); }
  store& it() { return *store_; }
  [[nodiscard]] const temp_folder& folder() const { return folder_; }
  void close() { store_.reset(); }

  std::shared_ptr<metrics> counts = std::make_shared<metrics>(); // of all its lives
  std::uint64_t epoch = 0;
  std::vector<outcome> outcomes;
  std::vector<std::size_t> order; // in which they were answered
  std::vector<std::string> fatal;

private:
  temp_folder folder_;
  std::unique_ptr<store> store_;
};

} // namespace maru::storage::tests
