#include "storage/sqlite_store.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <spdlog/spdlog.h>

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "storage/sqlite_apply.hpp"
#include "storage/sqlite_reader.hpp"
#include "storage/sqlite_rescue.hpp"
#include "storage/sqlite_schema.hpp"

namespace maru::storage::sqlite {

namespace {

constexpr std::chrono::milliseconds watch_every{limits::database_watch_ms};

// What belongs to others must not end a thread of the store.
template <class Function, class... Values>
void tell(const Function& whom, Values&&... what) {
  if (!whom) return;
  try {
    whom(std::forward<Values>(what)...);
  } catch (...) { // NOLINT(bugprone-empty-catch): nobody here knows what it means
  }
}

} // namespace

std::unique_ptr<store> open_store(const std::filesystem::path& file, open_options options) {
  try {
    return std::make_unique<sqlite_store>(file, std::move(options));
  } catch (const error& e) {
    throw open_error{"cannot open the database " + file.string() + ": " + e.detail};
  }
}

sqlite_store::sqlite_store(const std::filesystem::path& file, open_options options)
    : options_(std::move(options)), lock_(file), write_connection_(lock_.database(), connection::mode::write),
      read_connections_(open_readers()), names_(lock_.database(), write_connection_),
      writer_(write_connection_, options_.probe, *options_.counts) {
  if (options_.threads == threading::own) start();
}

std::deque<connection> sqlite_store::open_readers() {
  migrate(write_connection_);
  write_connection_.use_log();
  write_connection_.write_log_anew();
  lock_.remember();
  std::deque<connection> out;
  for (std::uint32_t i = 0; i < std::max(options_.readers, 1U); ++i)
    out.emplace_back(lock_.database(), connection::mode::read).leave_log();
  return out;
}

sqlite_store::~sqlite_store() { stop(); }

void sqlite_store::start() {
  try {
    for (auto& db : read_connections_)
      read_threads_.emplace_back([this, &db] { read_until_closed(db); });
    write_thread_ = std::thread([this] { write_until_closed(); });
  } catch (...) {
    stop();
    throw;
  }
}

// Reads first: their jobs may submit steps. A completion that reads after that is told that it cannot.
void sqlite_store::stop() {
  if (options_.threads == threading::manual)
    while (pump() != 0) {
    }
  {
    const std::lock_guard guard(reads_mutex_);
    reads_stage_ = stage::closing;
  }
  reads_changed_.notify_all();
  for (auto& thread : read_threads_)
    thread.join();
  {
    const std::lock_guard guard(steps_mutex_);
    steps_stage_ = stage::closing;
  }
  steps_changed_.notify_all();
  if (write_thread_.joinable()) write_thread_.join();
}

// --- writing ----------------------------------------------------------------------------------------------

void sqlite_store::submit(step s, completion done) {
  waiting_step waiting{std::move(s), std::move(done)};
  waiting.bytes = weight_of(waiting.what);
  const auto refused = let_in(waiting);
  if (refused == failure::none) return steps_changed_.notify_one();
  options_.counts->add(metric::store_steps);
  options_.counts->add_at(metric::store_refused, static_cast<std::size_t>(refused));
  tell(waiting.done,
       outcome{refused, refused == failure::overloaded ? "too much waits to be written" : "closed",
               std::nullopt});
}

// Moves from `waiting` unless it is refused.
failure sqlite_store::let_in(waiting_step& waiting) {
  const std::lock_guard guard(steps_mutex_);
  auto refused = failure::none;
  // One step is always let in, however big.
  if (steps_stage_ == stage::closed)
    refused = failure::unavailable;
  else if (counters_.queued_steps != 0 && counters_.queued_bytes + waiting.bytes > limits::store_queue_bytes)
    refused = failure::overloaded;
  if (refused != failure::none) {
    ++counters_.refused;
    return refused;
  }
  ++counters_.queued_steps;
  counters_.queued_bytes += waiting.bytes;
  steps_.push_back(std::move(waiting));
  return refused;
}

std::vector<sqlite_store::waiting_step> sqlite_store::take_group() {
  const auto size = std::min(steps_.size(), limits::commit_group_steps);
  const auto end = steps_.begin() + static_cast<std::ptrdiff_t>(size);
  std::vector<waiting_step> group(std::make_move_iterator(steps_.begin()), std::make_move_iterator(end));
  steps_.erase(steps_.begin(), end);
  return group;
}

void sqlite_store::write_until_closed() {
  for (bool more = true; more;) {
    std::vector<waiting_step> group;
    {
      std::unique_lock guard(steps_mutex_);
      steps_changed_.wait_for(guard, watch_every,
                              [this] { return !steps_.empty() || steps_stage_ != stage::open; });
      more = !steps_.empty() || steps_stage_ == stage::open;
      if (!more) steps_stage_ = stage::closed;
      group = take_group();
    }
    if (!group.empty())
      run_group(std::move(group));
    else if (const auto lost = secure_files())
      end_for(*lost);
  }
}

std::vector<outcome> sqlite_store::commit(const std::vector<waiting_step>& group) {
  if (fatal_) return {group.size(), outcome{failure::fatal, "the store has failed before", std::nullopt}};
  std::vector<const step*> steps;
  steps.reserve(group.size());
  for (const auto& waiting : group)
    steps.push_back(&waiting.what);
  const std::lock_guard guard(writing_);
  return writer_.commit(steps);
}

void sqlite_store::run_group(std::vector<waiting_step> group) {
  auto results = commit(group);
  if (const auto lost = secure_files()) // before anybody is told
    results.assign(group.size(), outcome{failure::fatal, *lost, std::nullopt});
  else if (fatal_) // a reader has met it first
    results.assign(group.size(), outcome{failure::fatal, "the store has failed", std::nullopt});
  if (results.front().why == failure::fatal) end_for(results.front().detail);
  account_for(group, results);
  count_group(group, results);
  for (std::size_t i = 0; i < group.size(); ++i) {
    tell(group[i].done, std::move(results[i]));
    group[i] = {}; // what the step held goes now, not with the group's last
  }
  if (fatal_) return;
  std::optional<std::string> ended;
  {
    const std::lock_guard guard(writing_);
    ended = writer_.tidy();
  }
  if (ended) end_for(cause_of(*ended));
}

// Nothing while the files are where they should be. Else what they hold is safe once this returns, which may
// take until there is room for it: meanwhile nobody is told of any commit, and reads go on.
std::optional<std::string> sqlite_store::secure_files() {
  if (fatal_ || names_.look() == name_watch::state::there) return std::nullopt;
  for (std::string told;;) {
    std::string why;
    try {
      const std::lock_guard guard(writing_);
      return rescue(write_connection_, lock_, names_, system_clock().unix_ms());
    } catch (const error& e) {
      why = e.detail;
    } catch (const open_error& e) {
      why = e.detail;
    } catch (const std::exception& e) {
      why = e.what();
    }
    {
      const std::lock_guard guard(steps_mutex_);
      counters_.writes_fail = true;
    }
    if (told != why)
      spdlog::critical("the database was removed, moved or cut while it was open, and cannot be saved "
                       "yet; do not end this process: {}",
                       why);
    told = why;
    std::unique_lock guard(steps_mutex_);
    const bool ends =
        steps_changed_.wait_for(guard, watch_every, [this] { return steps_stage_ != stage::open; });
    if (ends || options_.threads == threading::manual) return why;
  }
}

// What is damaged may be so because the log was cut: then that is what to say, and what the next start has to
// know.
std::string sqlite_store::cause_of(const std::string& damage) {
  if (names_.look() != name_watch::state::log_cut) return damage;
  try {
    const std::lock_guard guard(writing_);
    return rescue(write_connection_, lock_, names_, system_clock().unix_ms()).value_or(damage);
  } catch (const open_error& e) {
    return damage + "; " + e.detail;
  } catch (const std::exception& e) {
    return damage + "; " + e.what();
  }
}

void sqlite_store::account_for(const std::vector<waiting_step>& group, const std::vector<outcome>& results) {
  std::size_t bytes = 0;
  for (const auto& waiting : group)
    bytes += waiting.bytes;
  const auto refused = std::count_if(results.begin(), results.end(), [](const auto& r) { return !r; });
  // A step without parts asks nothing of the disk.
  const bool wrote =
      std::any_of(group.begin(), group.end(), [](const auto& s) { return !s.what.parts.empty(); });
  const bool none = std::all_of(results.begin(), results.end(), [](const auto& r) {
    return r.why == failure::full || r.why == failure::unavailable;
  });
  const std::lock_guard guard(steps_mutex_);
  counters_.steps += group.size();
  counters_.groups += 1;
  if (wrote) counters_.writes_fail = none;
  counters_.refused += static_cast<std::uint64_t>(refused);
  counters_.queued_steps -= group.size();
  counters_.queued_bytes -= bytes;
}

void sqlite_store::count_group(const std::vector<waiting_step>& group,
                               const std::vector<outcome>& results) const {
  auto& counts = *options_.counts;
  counts.add(metric::store_steps, group.size());
  counts.observe(metric::store_group_steps, static_cast<double>(group.size()));
  for (std::size_t i = 0; i < group.size(); ++i) {
    counts.observe(metric::store_step_seconds, group[i].since.seconds());
    if (!results[i]) counts.add_at(metric::store_refused, static_cast<std::size_t>(results[i].why));
  }
}

void sqlite_store::end_for(const std::string& why) {
  if (!fatal_.exchange(true)) tell(options_.on_fatal, why);
}

std::uint64_t sqlite_store::claim_shards(const std::string& node) {
  const std::lock_guard guard(writing_);
  try {
    return writer_.claim(node);
  } catch (const error& e) {
    throw open_error{"cannot write to the database: " + e.detail};
  }
}

counters sqlite_store::count() const {
  counters out;
  {
    const std::lock_guard guard(steps_mutex_);
    out = counters_;
  }
  const std::lock_guard guard(reads_mutex_);
  out.queued_reads = reads_.size();
  out.reads = reads_taken_;
  return out;
}

// --- reading ----------------------------------------------------------------------------------------------

void sqlite_store::read(read_job job, read_failed failed) {
  waiting_read waiting{std::move(job), std::move(failed)};
  const char* refused = let_in(waiting);
  if (refused == nullptr) return reads_changed_.notify_one();
  fail(waiting, refused);
}

const char* sqlite_store::let_in(waiting_read& waiting) {
  const std::lock_guard guard(reads_mutex_);
  if (reads_stage_ == stage::closed) return "closed";
  if (reads_.size() >= limits::reads_waiting) return "too many reads wait";
  reads_.push_back(std::move(waiting));
  return nullptr;
}

void sqlite_store::read_until_closed(connection& db) {
  for (;;) {
    waiting_read next;
    {
      std::unique_lock guard(reads_mutex_);
      reads_changed_.wait(guard, [this] { return !reads_.empty() || reads_stage_ != stage::open; });
      if (reads_.empty()) {
        reads_stage_ = stage::closed;
        return;
      }
      next = std::move(reads_.front());
      reads_.pop_front();
      ++reads_taken_;
    }
    run_read(db, next);
  }
}

void sqlite_store::run_read(connection& db, const waiting_read& what) {
  if (options_.probe)
    if (const auto why = options_.probe("read"); why != failure::none)
      return fail(what, std::string(word(why)));
  auto result = read_snapshot(db, what.job);
  options_.counts->observe(metric::store_read_seconds, what.since.seconds());
  if (result.corrupt) end_for(cause_of(*result.failed));
  if (result.failed) fail(what, std::move(*result.failed));
}

void sqlite_store::fail(const waiting_read& what, std::string why) const {
  options_.counts->add(metric::store_reads_failed);
  tell(what.failed, std::move(why));
}

// --- by hand ----------------------------------------------------------------------------------------------

std::size_t sqlite_store::pump() {
  if (options_.threads != threading::manual) return 0;
  std::vector<waiting_step> group;
  {
    const std::lock_guard guard(steps_mutex_);
    group = take_group();
  }
  auto handled = group.size();
  if (!group.empty()) run_group(std::move(group));
  std::deque<waiting_read> reads;
  {
    const std::lock_guard guard(reads_mutex_);
    reads.swap(reads_);
    reads_taken_ += reads.size();
  }
  for (const auto& what : reads)
    run_read(read_connections_.front(), what);
  return handled + reads.size();
}

} // namespace maru::storage::sqlite
