#pragma once

// Turns groups of steps into transactions. Has no thread and no queue: one call, one group.

#include <span>

#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {

class writer {
public:
  writer(connection& db, const fault_probe& probe, metrics& counts)
      : db_(db), probe_(probe), counts_(counts) {}

  // One transaction and one fsync for all of them; the n-th outcome is the n-th step's. A group that
  // cannot be committed has the same failure for each step.
  std::vector<outcome> commit(std::span<const step* const> group);

  // Moves the log into the database file when it has grown; says what is wrong if that must end the store.
  std::optional<std::string> tidy();

  // Raises every epoch to one above the highest and gives it to `node`. Throws error.
  std::uint64_t claim(const std::string& node);

private:
  struct group_failure {
    failure why;
    std::string detail;
  };

  void ask(std::string_view operation);
  void begin();
  void roll_back();
  void in_transaction(std::span<const step* const> group, std::vector<outcome>& results);
  bool together(std::span<const step* const> group, std::vector<outcome>& results, std::size_t& tried);
  void one_by_one(std::span<const step* const> group, std::vector<outcome>& results, std::size_t tried);
  outcome take(const step& s);
  outcome take_parts(const step& s);

  connection& db_;
  const fault_probe& probe_;
  metrics& counts_;
  int log_pages_tidied_ = 0;
};

} // namespace maru::storage::sqlite
