#pragma once

// What clients prove themselves with. An access token is sealed and needs no look at the store; a refresh
// token is random, and only its hash is kept. Pure functions; nothing here is logged.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.hpp"
#include "storage/rows.hpp"

namespace maru::actors::tokens {

struct access {
  uuid user;
  uuid family;
  std::int64_t issued_at = 0; // unix milliseconds
  std::int64_t expires_at = 0;
};

// The server's keys: the newest seals, each of them opens.
class key_ring {
public:
  static storage::key_row make_key(std::int64_t now);

  void add(const storage::key_row& key); // oldest first; one of a wrong size is left out
  [[nodiscard]] bool empty() const { return keys_.empty(); }

  [[nodiscard]] std::string seal_access(const access& what) const;
  // Nothing when it is not ours or was changed; says nothing of its time.
  [[nodiscard]] std::optional<access> open_access(std::string_view token) const;

  // For what the store keeps and only the server reads again; `about` has to be the same for both.
  [[nodiscard]] std::string seal(std::string_view about, std::string_view secret) const;
  [[nodiscard]] std::optional<std::string> open(std::string_view about, std::string_view sealed) const;

private:
  std::vector<storage::key_row> keys_;
};

std::string make_refresh();
std::string hash_of(std::string_view token);
inline constexpr std::size_t hash_bytes = 32;

} // namespace maru::actors::tokens
