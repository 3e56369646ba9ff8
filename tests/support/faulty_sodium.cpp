// Loaded before libsodium into the real server: the api actor compares each token with the operator's by
// sodium_memcmp, and here a token can ask for an exception or for a thread that never comes back. So a fault
// of an actor can be had in the binary that is shipped, which has no place to put one in.

#include <cstddef>
#include <cstring>
#include <stdexcept>

#include <unistd.h>

extern "C" int sodium_memcmp(const void* one, const void* other, std::size_t bytes) {
  const auto begins = [&](const char* word) {
    return bytes >= std::strlen(word) && std::memcmp(one, word, std::strlen(word)) == 0;
  };
  if (begins("throw")) throw std::runtime_error{"a fault that a test asked for"};
  while (begins("hang"))
    ::pause();
  return std::memcmp(one, other, bytes) == 0 ? 0 : -1;
}
