#include "net/assets.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "config/limits.hpp"

namespace maru::net {
namespace {

constexpr std::string_view index_file = "index.html";

// Where a client may have pages of its own; anything else that is no file is not there.
constexpr std::string_view clients_own[] = {"rooms", "login", "signup", "settings", "invite"};

bool is_client_route(std::string_view path) {
  const auto first = path.substr(0, path.find('/'));
  if (std::find(std::begin(clients_own), std::end(clients_own), first) == std::end(clients_own)) return false;
  const auto last = path.substr(path.rfind('/') + 1); // npos + 1 is 0
  return last.find('.') == std::string_view::npos;
}

std::string_view content_type(std::string_view path) {
  struct known {
    std::string_view ending, type;
  };
  constexpr std::array types{known{".html", "text/html; charset=utf-8"},
                             known{".js", "text/javascript; charset=utf-8"},
                             known{".mjs", "text/javascript; charset=utf-8"},
                             known{".css", "text/css; charset=utf-8"},
                             known{".json", "application/json"},
                             known{".map", "application/json"},
                             known{".webmanifest", "application/manifest+json"},
                             known{".svg", "image/svg+xml"},
                             known{".png", "image/png"},
                             known{".jpg", "image/jpeg"},
                             known{".webp", "image/webp"},
                             known{".ico", "image/x-icon"},
                             known{".woff2", "font/woff2"},
                             known{".wasm", "application/wasm"},
                             known{".txt", "text/plain; charset=utf-8"}};
  for (const auto& one : types)
    if (path.ends_with(one.ending)) return one.type;
  return "application/octet-stream";
}

// Tells versions of a file apart, no more: eight bytes at a step.
std::string etag_of(std::string_view bytes) {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15U;
  std::uint64_t hash = bytes.size() * factor;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * factor;
    hash ^= hash >> 29U;
  };
  std::uint64_t word = 0;
  for (; bytes.size() >= sizeof word; bytes.remove_prefix(sizeof word)) {
    std::memcpy(&word, bytes.data(), sizeof word);
    mix(word);
  }
  word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  mix(word);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (unsigned shift = 64; shift > 0; shift -= 4)
    out.push_back(digits[hash >> (shift - 4) & 0x0fU]);
  return out + "\"";
}

bool is_hash_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

// As bundlers write it: 8 characters behind the last but one dash or dot, not all of them lower-case letters,
// which would be a word.
bool ends_in_hash(std::string_view stem) {
  constexpr std::size_t size = 8;
  if (stem.size() < size + 2) return false;
  const auto hash = stem.substr(stem.size() - size);
  const char before = stem[stem.size() - size - 1];
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '-' || c == '_'; };
  return (before == '-' || before == '.') && std::all_of(hash.begin(), hash.end(), is_hash_char) &&
         !std::all_of(hash.begin(), hash.end(), is_letter);
}

bool is_set_hash(std::string_view folder) {
  constexpr std::size_t size = 16;
  return folder.size() == size && folder.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Below assets/ a hash in the name, or the folder of the built-in client, which is the hash of all in it.
bool is_immutable(std::string_view path) {
  constexpr std::string_view assets = "assets/";
  if (!path.starts_with(assets)) return false;
  path.remove_prefix(assets.size());
  if (const auto slash = path.find('/');
      slash != std::string_view::npos && is_set_hash(path.substr(0, slash)))
    return true;
  auto name = path.substr(path.rfind('/') + 1); // npos + 1 is 0
  if (name.ends_with(".map")) name.remove_suffix(4);
  return ends_in_hash(name.substr(0, name.rfind('.')));
}

struct kept {
  std::string read;       // what was read from a disk
  std::string_view bytes; // of it, or given
  std::string etag;
  asset what;
  bool is_form = false; // of another
};
using files = std::map<std::string, kept, std::less<>>; // nothing in it moves

// Once all are there: which is the compressed form of which.
void describe(files& all) {
  for (auto& [path, one] : all) {
    one.etag = etag_of(one.bytes);
    one.what = {content_type(path), {one.bytes, one.etag}, {}, {}, is_immutable(path)};
  }
  for (const auto& [ending, form] : {std::pair{".gz", &asset::gzip}, std::pair{".br", &asset::br}})
    for (auto& [path, one] : all)
      if (const auto at = all.find(path + ending); at != all.end()) {
        (one.what.*form) = at->second.what.plain;
        at->second.is_form = true;
      }
}

asset_lookup lookup_in(std::shared_ptr<const files> all) {
  return [all = std::move(all)](std::string_view path) -> std::optional<asset> {
    const auto at = all->find(path);
    if (at == all->end() || at->second.is_form) return std::nullopt;
    return at->second.what;
  };
}

} // namespace

asset_lookup assets_in(const std::filesystem::path& folder) {
  auto out = std::make_shared<files>();
  std::size_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
    if (!entry.is_regular_file()) continue;
    bytes += entry.file_size();
    if (bytes > limits::static_bytes)
      throw std::runtime_error(folder.string() + " holds more than " + std::to_string(limits::static_bytes) +
                               " bytes; is it the directory of a browser client?");
    std::ifstream file{entry.path(), std::ios::binary};
    if (!file) throw std::runtime_error("cannot read " + entry.path().string());
    const auto name = entry.path().lexically_relative(folder).generic_string();
    auto& one = (*out)[name];
    one.read.assign(std::istreambuf_iterator<char>{file}, {});
    one.bytes = one.read;
  }
  describe(*out);
  if (!out->contains(index_file)) throw std::runtime_error("there is no index.html in " + folder.string());
  return lookup_in(std::move(out));
}

asset_lookup fixed_assets(std::span<const asset_file> given) {
  auto out = std::make_shared<files>();
  for (const auto& one : given)
    (*out)[std::string{one.path}].bytes = one.bytes;
  describe(*out);
  return lookup_in(std::move(out));
}

std::optional<asset> find_asset(const asset_lookup& in, std::string_view path) {
  if (!in) return std::nullopt;
  path.remove_prefix(1);
  if (path.empty()) return in(index_file);
  if (auto found = in(path)) return found;
  return is_client_route(path) ? in(index_file) : std::nullopt;
}

} // namespace maru::net
