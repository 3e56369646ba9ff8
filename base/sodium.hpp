#pragma once

namespace maru {

// Before the first call of libsodium, on any thread; costs nothing after that.
void make_sodium_ready();

} // namespace maru
