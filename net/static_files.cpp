#include "net/static_files.hpp"

#include "net/content_coding.hpp"

namespace maru::net {
namespace {

bool is_known(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || has_token(if_none_match, etag) ||
         has_token(if_none_match, "W/" + std::string{etag});
}

const representation& chosen(const asset& from, coding what) {
  if (what == coding::br) return from.br;
  return what == coding::gzip ? from.gzip : from.plain;
}

} // namespace

// Files are compressed, replies of the API never are: those hold secrets beside what others may have put
// there, and their length would tell of them (BREACH).
std::optional<http_reply> static_file(const asset_lookup& in, const http_request& request,
                                      std::string_view path) {
  const auto found = find_asset(in, path);
  if (!found) return problem({code::not_found, "", 0});
  if (request.method != "GET") return std::nullopt;
  const bool gzip = !found->gzip.bytes.empty(), br = !found->br.bytes.empty();
  const auto as = choose_coding(request.accept_encoding, gzip, br);
  if (!as) return problem({code::invalid_field, "there is this file in no coding that is accepted", 0}, 406);
  const auto& what = chosen(*found, *as);
  http_reply out;
  out.page = true;
  out.cache = found->immutable ? "public, max-age=31536000, immutable" : "no-cache";
  out.headers.emplace_back("ETag", what.etag);
  if (gzip || br) out.headers.emplace_back("Vary", "Accept-Encoding");
  if (is_known(request.if_none_match, what.etag)) {
    out.status = 304;
    return out;
  }
  if (*as != coding::identity) out.headers.emplace_back("Content-Encoding", word(*as));
  out.type = found->type;
  out.file = what.bytes;
  return out;
}

} // namespace maru::net
