#include "base/uuid.hpp"

#include <algorithm>

#include "tests/fuzz/input.hpp"

// An id has one written form, in two cases; 16 bytes have one id.
namespace maru::fuzz {

void one_input(std::string_view bytes) {
  if (const auto id = uuid::parse(bytes)) {
    std::string lower{bytes};
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
    holds(id->str() == lower, "what was read is written as it was");
    holds(id->nil() == (lower.find_first_not_of("0-") == lower.npos), "nil is all zeros");
  }
  uuid made;
  std::copy_n(bytes.begin(), std::min(bytes.size(), made.bytes.size()), made.bytes.begin());
  holds(uuid::parse(made.str()) == made, "what was written is read as it was");
  holds(std::hash<uuid>{}(made) == std::hash<uuid>{}(*uuid::parse(made.str())), "equal ids have one hash");
}

} // namespace maru::fuzz
