#pragma once

// The store on SQLite: one writer with a queue, some readers with theirs. No lock is held while a
// completion, a read job or a probe runs.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "storage/backend.hpp"
#include "storage/sqlite_file.hpp"
#include "storage/sqlite_statement.hpp"
#include "storage/sqlite_writer.hpp"

namespace maru::storage::sqlite {

std::unique_ptr<store> open_store(const std::filesystem::path& file, open_options options);

class sqlite_store final : public backend {
public:
  sqlite_store(const std::filesystem::path& file, open_options options);
  ~sqlite_store() override;

  void submit(step s, completion done) override;
  void read(read_job job, read_failed failed) override;
  std::uint64_t claim_shards(const std::string& node) override;
  [[nodiscard]] counters count() const override;
  std::size_t pump() override;

private:
  struct waiting_step {
    step what;
    completion done;
    std::size_t bytes = 0;
    stopwatch since = {};
  };

  struct waiting_read {
    read_job job;
    read_failed failed;
    stopwatch since = {};
  };

  enum class stage : std::uint8_t { open, closing, closed };

  std::deque<connection> open_readers();
  void start();
  void stop();
  void write_until_closed();
  void read_until_closed(connection& db);
  failure let_in(waiting_step& waiting);
  const char* let_in(waiting_read& waiting); // why not
  std::vector<waiting_step> take_group();
  std::vector<outcome> commit(const std::vector<waiting_step>& group);
  void run_group(std::vector<waiting_step> group);
  void account_for(const std::vector<waiting_step>& group, const std::vector<outcome>& results);
  void count_group(const std::vector<waiting_step>& group, const std::vector<outcome>& results) const;
  void run_read(connection& db, const waiting_read& what);
  void fail(const waiting_read& what, std::string why) const;
  void end_for(const std::string& why);
  std::optional<std::string> secure_files();
  std::string cause_of(const std::string& damage);

  const open_options options_;
  file_lock lock_;
  connection write_connection_;
  std::deque<connection> read_connections_;
  const name_watch names_;

  std::mutex writing_; // the write connection; claim_shards comes from outside
  writer writer_;
  std::atomic<bool> fatal_ = false;

  mutable std::mutex steps_mutex_;
  std::condition_variable steps_changed_;
  std::deque<waiting_step> steps_;
  stage steps_stage_ = stage::open;
  counters counters_;

  mutable std::mutex reads_mutex_;
  std::condition_variable reads_changed_;
  std::deque<waiting_read> reads_;
  std::uint64_t reads_taken_ = 0;
  stage reads_stage_ = stage::open;

  std::thread write_thread_;
  std::vector<std::thread> read_threads_;
};

} // namespace maru::storage::sqlite
