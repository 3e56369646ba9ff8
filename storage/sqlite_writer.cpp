#include "storage/sqlite_writer.hpp"

#include <exception>

#include "config/limits.hpp"
#include "storage/sqlite_apply.hpp"

namespace maru::storage::sqlite {

namespace {

// Failures of one step leave the others alone; the rest concern the disk, and so the whole group.
bool concerns_group(failure why) {
  return why == failure::full || why == failure::fatal || why == failure::unavailable;
}

} // namespace

// Acts out a failure where a test wants one.
void writer::ask(std::string_view operation) {
  if (!probe_) return;
  if (const auto why = probe_(operation); why != failure::none)
    throw group_failure{why, "put in at " + std::string(operation)};
}

void writer::begin() { db_.exec("BEGIN IMMEDIATE"); }

// A transaction that cannot be left is the end: nothing after it could be trusted.
void writer::roll_back() {
  try {
    db_.roll_back();
  } catch (const error& e) {
    throw group_failure{failure::fatal, "cannot roll back: " + e.detail};
  }
}

outcome writer::take_parts(const step& s) {
  if (auto fenced = check_fence(db_, s.under); !fenced) return fenced;
  for (const auto& p : s.parts) {
    if (probe_) {
      const auto why = probe_(operation_of(p));
      if (concerns_group(why) && why != failure::unavailable)
        throw group_failure{why, "put in at " + std::string(operation_of(p))};
      if (why != failure::none) return {why, "put in at " + std::string(operation_of(p)), std::nullopt};
    }
    if (auto refused = apply(db_, p); !refused) return refused;
  }
  return {};
}

outcome writer::take(const step& s) {
  try {
    return take_parts(s);
  } catch (const error& e) {
    const auto why = e.meaning();
    // Some errors roll everything back by themselves: then the group is gone whatever they mean.
    if (!db_.in_transaction() && !concerns_group(why)) throw group_failure{failure::unavailable, e.detail};
    if (concerns_group(why)) throw group_failure{why, e.detail};
    return {why, e.detail, std::nullopt};
  } catch (const std::exception& e) {
    return {failure::unavailable, e.what(), std::nullopt};
  }
}

// Without savepoints, which cost a copy of every page touched. False once a step was refused after it had
// written something; `tried` is then one past that step.
bool writer::together(std::span<const step* const> group, std::vector<outcome>& results, std::size_t& tried) {
  for (tried = 0; tried < group.size();) {
    const auto before = db_.changes_so_far();
    auto& result = results[tried] = take(*group[tried]);
    ++tried;
    if (!result && db_.changes_so_far() != before) return false;
  }
  return true;
}

// After a rollback. Nobody else writes, so what was refused among the first `tried` would be refused again.
void writer::one_by_one(std::span<const step* const> group, std::vector<outcome>& results,
                        std::size_t tried) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (i < tried && !results[i]) continue;
    db_.exec("SAVEPOINT step");
    results[i] = take(*group[i]);
    if (!results[i]) db_.exec("ROLLBACK TO step");
    db_.exec("RELEASE step");
  }
}

void writer::in_transaction(std::span<const step* const> group, std::vector<outcome>& results) {
  ask("begin");
  begin();
  std::size_t tried = 0;
  if (!together(group, results, tried)) {
    roll_back();
    begin();
    one_by_one(group, results, tried);
  }
  ask("commit");
  const stopwatch committing;
  db_.commit();
  counts_.observe(metric::store_commit_seconds, committing.seconds());
}

std::vector<outcome> writer::commit(std::span<const step* const> group) {
  std::vector<outcome> results(group.size());
  std::optional<group_failure> failed;
  const stopwatch whole;
  try {
    in_transaction(group, results);
    counts_.observe(metric::store_group_seconds, whole.seconds());
  } catch (const group_failure& f) {
    failed = f;
  } catch (const error& e) {
    const auto why = e.meaning();
    failed = {concerns_group(why) ? why : failure::unavailable, e.detail};
  } catch (const std::exception& e) {
    failed = {failure::unavailable, e.what()};
  }
  if (!failed) return results;
  try {
    roll_back();
  } catch (const group_failure& f) {
    failed = f;
  }
  // Refusals as well: what they rested on may have been rolled back with the group.
  results.assign(group.size(), outcome{failed->why, failed->detail, std::nullopt});
  return results;
}

std::optional<std::string> writer::tidy() {
  const int pages = db_.log_pages();
  if (pages < log_pages_tidied_) log_pages_tidied_ = 0; // the log has begun anew
  if (pages - log_pages_tidied_ < limits::database_log_pages) return std::nullopt;
  log_pages_tidied_ = pages;
  try {
    ask("checkpoint");
    db_.checkpoint(pages >= limits::database_log_most_pages);
  } catch (const group_failure& f) {
    if (f.why == failure::fatal) return f.detail;
  } catch (const error& e) {
    // A failed fsync here would pass for a success the next time; a full disk only lets the log grow.
    if (e.meaning() == failure::fatal) return e.detail;
  }
  return std::nullopt;
}

std::uint64_t writer::claim(const std::string& node) {
  begin();
  try {
    std::uint64_t epoch = 0;
    {
      auto q = db_.run("SELECT max(epoch) + 1 FROM leases");
      if (q.next()) epoch = q.count(0);
    }
    db_.exec("UPDATE leases SET node = ?, epoch = ?, expires_at = 0", node, epoch);
    db_.commit();
    return epoch;
  } catch (...) {
    db_.roll_back();
    throw;
  }
}

} // namespace maru::storage::sqlite
