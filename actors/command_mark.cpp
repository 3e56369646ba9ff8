#include "actors/command_mark.hpp"

#include <cstdint>
#include <string_view>

#include <sodium.h>

namespace maru::actors {
namespace {

std::string_view view(const uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// Each part with its length, so that no two lists of parts look alike.
std::string digest(const std::vector<std::string_view>& parts) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, crypto_generichash_BYTES);
  for (const auto part : parts) {
    const std::uint64_t size = part.size();
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&size), sizeof size);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
  }
  std::string out(crypto_generichash_BYTES, '\0');
  crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), out.size());
  return out;
}

} // namespace

std::string mark_of(const post_message& what, const std::vector<std::string>& agents, const uuid& parent) {
  std::vector<std::string_view> parts{"post", what.text,
                                      what.has_reply_to ? view(what.reply_to) : std::string_view{}};
  parts.insert(parts.end(), agents.begin(), agents.end());
  return digest(parts).append(view(parent));
}

std::string mark_of_stop(const uuid& answer) { return digest({"stop", view(answer)}).append(view(uuid{})); }

std::string mark_of_retry(const uuid& answer) { return digest({"retry", view(answer)}).append(view(uuid{})); }

std::string mark_of(const schedule_message& what) {
  const auto at = std::to_string(what.at);
  std::vector<std::string_view> parts{"schedule", what.text, at,
                                      what.cron,  what.zone, what.ask_room ? "the room's" : "these"};
  parts.insert(parts.end(), what.agents.begin(), what.agents.end());
  return digest(parts).append(view(uuid{}));
}

bool same_mark(const std::string& one, const std::string& other, bool any_parent) {
  return any_parent ? one.compare(0, crypto_generichash_BYTES, other, 0, crypto_generichash_BYTES) == 0
                    : one == other;
}

} // namespace maru::actors
