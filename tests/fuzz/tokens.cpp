#include "actors/tokens.hpp"

#include "tests/fuzz/input.hpp"

// Tokens: only what the server sealed opens, and only as what it was sealed for. A token of an older build is
// among the things to be changed.
namespace maru::fuzz {
namespace {

using namespace actors::tokens;

const key_ring& keys() {
  static const key_ring one = [] {
    key_ring out;
    out.add({"old", std::string(32, 'o'), 1});
    out.add({"wrong", "too short", 2});
    out.add({"key", std::string(32, 'k'), 3});
    return out;
  }();
  return one;
}

constexpr std::string_view kept = "key.AAECAwQFBgcICQoLDA0ODxAREhMUFRYX1vPBgg24vNmIQ7_"
                                  "T4CTv4dznEEsGqESCh2J0cTVbq8lZSQsY8SPI-mb0hk3RcxnYpkkgTn0KLPHwBUwecduAAcE";

std::string changed(std::string_view token, parts& by) {
  std::string out{token};
  while (!by.empty() && out.size() < 1000) {
    const auto at = by.up_to(out.size() - 1);
    const auto how = by.byte();
    if (how < 128)
      out[at] = static_cast<char>(how);
    else if (how < 192)
      out.insert(at, 1, static_cast<char>(by.byte()));
    else if (out.size() > 1)
      out.erase(at, 1);
  }
  return out;
}

void check_sealed(const std::string& about, const std::string& secret) {
  const auto sealed = keys().seal(about, secret);
  const auto opened = keys().open(about, sealed);
  constexpr std::size_t most = 300; // what is longer is no token of ours
  if (secret.size() < most) holds(opened == secret, "what was sealed opens");
  holds(!keys().open(about + "!", sealed), "for nothing else");
  holds(!keys().open_access(keys().seal("refresh", secret)), "and no other seal is a token");
}

} // namespace

void one_input(std::string_view bytes) {
  const auto old = keys().open_access(kept);
  holds(old && old->issued_at == 1 && old->expires_at == 2, "a token of an older build opens");
  holds(!keys().open_access(bytes), "what is not ours does not");
  parts in{bytes};
  const auto other = changed(kept, in);
  if (other != kept) holds(!keys().open_access(other), "nor does what was changed");
  parts words{bytes};
  const std::string about{words.line()};
  check_sealed(about, std::string{words.rest()});
  holds(hash_of(bytes).size() == hash_bytes && hash_of(bytes) == hash_of(bytes), "a hash is a hash");
}

} // namespace maru::fuzz
