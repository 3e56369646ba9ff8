#pragma once

#include "storage/backup.hpp"

namespace maru::storage::sqlite {

backup_facts back_up(const std::filesystem::path& database, const std::filesystem::path& to);
restored restore(const std::filesystem::path& database, const std::filesystem::path& from,
                 std::int64_t now_ms);

} // namespace maru::storage::sqlite
