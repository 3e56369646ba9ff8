#include "base/sodium.hpp"

#include <sodium.h>

namespace maru {

void make_sodium_ready() {
  static const int ready = sodium_init();
  (void)ready;
}

} // namespace maru
