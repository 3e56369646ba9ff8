#pragma once

#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {

// How a fault_probe is asked about this part: "apply:append_event".
std::string_view operation_of(const part& p);

// About what a step holds in memory while it waits.
std::size_t weight_of(const step& s);

// Refuses a step whose epoch is not its shard's.
outcome check_fence(connection& db, const fence& under);

// Carries out one part in the transaction that is open. A refusal may come after something was written:
// the caller undoes it. Throws error.
outcome apply(connection& db, const part& p);

} // namespace maru::storage::sqlite
