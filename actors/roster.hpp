#pragma once

// The members of a room and how far each has read, sorted by account: cheap to copy, found by halving.

#include <algorithm>
#include <vector>

#include "storage/rows.hpp"

namespace maru::actors {

using roster = std::vector<storage::read_mark>;

template <class Roster> // const or not
auto place_of(Roster& in, const uuid& account) {
  return std::lower_bound(in.begin(), in.end(), account,
                          [](const storage::read_mark& m, const uuid& id) { return m.account < id; });
}

template <class Roster>
auto* find(Roster& in, const uuid& account) {
  const auto at = place_of(in, account);
  return at != in.end() && at->account == account ? &*at : nullptr;
}

// Forward only. False: no member, or nothing new.
inline bool read_to(roster& in, const storage::read_mark& to) {
  auto* const member = find(in, to.account);
  if (member == nullptr || member->seq >= to.seq) return false;
  member->seq = to.seq;
  return true;
}

// As read_to, but whoever is not there is added.
inline void note_read(roster& in, const storage::read_mark& to) {
  const auto at = place_of(in, to.account);
  if (at != in.end() && at->account == to.account)
    at->seq = std::max(at->seq, to.seq);
  else
    in.insert(at, to);
}

} // namespace maru::actors
