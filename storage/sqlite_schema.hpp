#pragma once

#include <span>

#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {

// The steps from an empty file to the newest schema; the n-th (from 1) leads to version n.
std::span<const char* const> migrations();

// Brings the schema forward, each step in a transaction of its own. Throws open_error for a schema that is
// newer than the steps or that is not ours, error when a step fails.
void migrate(connection& db, std::span<const char* const> steps = migrations());

bool is_ours(connection& db);
// Refuses one that is newer than the steps. Throws open_error.
void check_version(connection& db);

} // namespace maru::storage::sqlite
