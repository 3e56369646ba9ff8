#pragma once

#include <optional>
#include <string>

#include "storage/sqlite_file.hpp"
#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {

// Once names do not lead to what is open any more: brings all that was committed to where the next start
// finds it, or says where it is, or sees to it that no start passes over what is lost. The words are for the
// operator; after them the process has to end. Throws error or open_error when it cannot be done, and may be
// tried again.
std::optional<std::string> rescue(connection& db, const file_lock& lock, const name_watch& names,
                                  std::int64_t now_ms);

} // namespace maru::storage::sqlite
