#include "actors/password_pool.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <sodium.h>

#include "base/sodium.hpp"
#include "base/text.hpp"
#include "config/limits.hpp"

namespace maru::actors {

namespace {

std::size_t bytes_of(const password_cost& cost) { return std::size_t{cost.memory_kib} << 10U; }

} // namespace

std::optional<std::string> hash_password(const std::string& password, const password_cost& cost) {
  make_sodium_ready();
  const auto normal = text::nfc(password);
  if (!normal) return std::nullopt;
  std::string out(crypto_pwhash_STRBYTES, '\0');
  if (crypto_pwhash_str_alg(out.data(), normal->data(), normal->size(), cost.passes, bytes_of(cost),
                            crypto_pwhash_ALG_ARGON2ID13) != 0)
    return std::nullopt;
  out.resize(out.find('\0'));
  return out;
}

bool password_matches(const std::string& hash, const std::string& password) {
  make_sodium_ready();
  const auto normal = text::nfc(password);
  return normal && crypto_pwhash_str_verify(hash.c_str(), normal->data(), normal->size()) == 0;
}

bool needs_rehash(const std::string& hash, const password_cost& cost) {
  make_sodium_ready();
  return crypto_pwhash_str_needs_rehash(hash.c_str(), cost.passes, bytes_of(cost)) != 0;
}

// Outlives the pool while a thread still uses it.
struct password_pool::shared {
  std::mutex guard;
  std::condition_variable more;
  std::deque<std::function<void()>> waiting;
  bool closed = false;
  std::vector<std::thread> threads;

  bool run_one(bool wait) {
    std::unique_lock lock{guard};
    if (wait) more.wait(lock, [this] { return closed || !waiting.empty(); });
    if (closed || waiting.empty()) return false;
    const auto job = std::move(waiting.front());
    waiting.pop_front();
    lock.unlock();
    job();
    return true;
  }
};

password_pool::password_pool(std::size_t threads) : shared_(std::make_shared<shared>()) {
  for (std::size_t i = 0; i < threads; ++i)
    shared_->threads.emplace_back([own = shared_] {
      while (own->run_one(true)) {
      }
    });
}

password_pool::~password_pool() {
  std::deque<std::function<void()>> dropped; // jobs hold handles of actors: not under the lock
  {
    const std::lock_guard lock{shared_->guard};
    shared_->closed = true;
    dropped.swap(shared_->waiting);
  }
  shared_->more.notify_all();
  for (auto& thread : shared_->threads)
    // The end of a job may release the last handle of the actor that holds this pool.
    if (thread.get_id() == std::this_thread::get_id())
      thread.detach();
    else
      thread.join();
}

bool password_pool::submit(std::function<void()> job) {
  {
    const std::lock_guard lock{shared_->guard};
    if (shared_->closed || shared_->waiting.size() >= limits::password_jobs_waiting) return false;
    shared_->waiting.push_back(std::move(job));
  }
  shared_->more.notify_one();
  return true;
}

std::size_t password_pool::run_waiting() {
  std::size_t n = 0;
  while (shared_->run_one(false))
    ++n;
  return n;
}

std::size_t password_pool::waiting() const {
  const std::lock_guard lock{shared_->guard};
  return shared_->waiting.size();
}

} // namespace maru::actors
