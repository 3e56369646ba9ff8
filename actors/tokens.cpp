#include "actors/tokens.hpp"

#include <algorithm>

#include <sodium.h>

#include "base/sodium.hpp"

namespace maru::actors::tokens {

namespace {

constexpr std::size_t key_bytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t refresh_bytes = 32;
constexpr std::size_t key_id_bytes = 6;
constexpr std::size_t token_chars_most = 512; // ours have some 130
constexpr std::uint8_t access_version = 1;
constexpr std::size_t access_bytes = 1 + 16 + 16 + 8 + 8;
constexpr std::string_view about_access = "access";
static_assert(hash_bytes == crypto_generichash_BYTES);

const unsigned char* raw(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
unsigned char* writable(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

std::string random_bytes(std::size_t n) {
  make_sodium_ready();
  std::string out(n, '\0');
  randombytes_buf(out.data(), n);
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::string out(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(out.data(), out.size(), raw(bytes), bytes.size(), variant);
  out.pop_back(); // its NUL
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out(text.size(), '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(writable(out), out.size(), text.data(), text.size(), nullptr, &size, &end,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
      end != text.data() + text.size())
    return std::nullopt;
  out.resize(size);
  return out;
}

void put(std::string& to, std::int64_t n) {
  for (int shift = 56; shift >= 0; shift -= 8)
    to.push_back(static_cast<char>(static_cast<std::uint64_t>(n) >> static_cast<unsigned>(shift)));
}

std::int64_t take_number(std::string_view& from) {
  std::uint64_t n = 0;
  for (const char c : from.substr(0, 8))
    n = n << 8U | static_cast<std::uint8_t>(c);
  from.remove_prefix(8);
  return static_cast<std::int64_t>(n);
}

uuid take_uuid(std::string_view& from) {
  uuid id;
  std::copy_n(from.begin(), id.bytes.size(), id.bytes.begin());
  from.remove_prefix(id.bytes.size());
  return id;
}

std::string encode(const access& what) {
  std::string out(1, static_cast<char>(access_version));
  out.append(what.user.bytes.begin(), what.user.bytes.end());
  out.append(what.family.bytes.begin(), what.family.bytes.end());
  put(out, what.issued_at);
  put(out, what.expires_at);
  return out;
}

} // namespace

storage::key_row key_ring::make_key(std::int64_t now) {
  return {base64(random_bytes(key_id_bytes)), random_bytes(key_bytes), now};
}

void key_ring::add(const storage::key_row& key) {
  if (key.secret.size() == key_bytes) keys_.push_back(key);
}

std::string key_ring::seal(std::string_view about, std::string_view secret) const {
  const auto& key = keys_.back();
  auto bytes = random_bytes(nonce_bytes);
  bytes.resize(nonce_bytes + secret.size() + tag_bytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(writable(bytes) + nonce_bytes, nullptr, raw(secret),
                                             secret.size(), raw(about), about.size(), nullptr, raw(bytes),
                                             raw(key.secret));
  return key.id + "." + base64(bytes);
}

std::optional<std::string> key_ring::open(std::string_view about, std::string_view sealed) const {
  const auto dot = sealed.find('.');
  if (dot == std::string_view::npos || sealed.size() > token_chars_most) return std::nullopt;
  const auto bytes = from_base64(sealed.substr(dot + 1));
  if (!bytes || bytes->size() < nonce_bytes + tag_bytes) return std::nullopt;
  for (const auto& key : keys_) {
    if (key.id != sealed.substr(0, dot)) continue;
    std::string out(bytes->size() - nonce_bytes - tag_bytes, '\0');
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(writable(out), nullptr, nullptr, raw(*bytes) + nonce_bytes,
                                                   bytes->size() - nonce_bytes, raw(about), about.size(),
                                                   raw(*bytes), raw(key.secret)) == 0)
      return out;
  }
  return std::nullopt;
}

std::string key_ring::seal_access(const access& what) const { return seal(about_access, encode(what)); }

std::optional<access> key_ring::open_access(std::string_view token) const {
  const auto plain = open(about_access, token);
  if (!plain || plain->size() != access_bytes || static_cast<std::uint8_t>(plain->front()) != access_version)
    return std::nullopt;
  std::string_view rest{*plain};
  rest.remove_prefix(1);
  access out;
  out.user = take_uuid(rest);
  out.family = take_uuid(rest);
  out.issued_at = take_number(rest);
  out.expires_at = take_number(rest);
  return out;
}

std::string make_refresh() { return base64(random_bytes(refresh_bytes)); }

std::string hash_of(std::string_view token) {
  make_sodium_ready();
  std::string out(hash_bytes, '\0');
  crypto_generichash(writable(out), out.size(), raw(token), token.size(), nullptr, 0);
  return out;
}

} // namespace maru::actors::tokens
