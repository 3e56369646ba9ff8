#pragma once

// Argon2id, and the few threads it may keep busy: a hash takes tens of milliseconds and much memory.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace maru::actors {

struct password_cost {
  std::uint32_t memory_kib = 0;
  std::uint32_t passes = 0;
};

// Passwords are compared in NFC. Nothing when there is no memory for it, or the text is not UTF-8.
std::optional<std::string> hash_password(const std::string& password, const password_cost& cost);
bool password_matches(const std::string& hash, const std::string& password);
bool needs_rehash(const std::string& hash, const password_cost& cost);

class password_pool {
public:
  // 0 threads: jobs run in run_waiting() alone, for tests.
  explicit password_pool(std::size_t threads);
  ~password_pool(); // drops what waits
  password_pool(const password_pool&) = delete;
  password_pool& operator=(const password_pool&) = delete;

  // False when too many wait; then `job` is not run. `job` must not throw.
  bool submit(std::function<void()> job);
  std::size_t run_waiting();
  [[nodiscard]] std::size_t waiting() const;

private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

} // namespace maru::actors
