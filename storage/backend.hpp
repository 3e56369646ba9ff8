#pragma once

// What every backend of the store is, behind the door.

#include "storage/store.hpp"

namespace maru::storage {

class backend : public store {
public:
  // See storage::pump.
  virtual std::size_t pump() = 0;
};

} // namespace maru::storage
