#pragma once

#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {

struct read_result {
  std::optional<std::string> failed; // why, when it did
  bool corrupt = false;              // the database itself is at fault
};

// Runs `job` on one snapshot. Whatever it throws is a failed read.
read_result read_snapshot(connection& db, const read_job& job);

} // namespace maru::storage::sqlite
