#include "net/content_coding.hpp"

#include "net/http.hpp"

namespace maru::net {
namespace {

constexpr unsigned whole = 10 * 10 * 10; // weights have three places

// A weight in thousandths: "0", "1", "0.5", "1.000". Nothing: it is none.
std::optional<unsigned> weight(std::string_view text) {
  constexpr std::size_t most = 5;
  if (text.empty() || text.size() > most || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  unsigned out = text[0] == '1' ? whole : 0;
  unsigned step = whole / 10;
  for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (digit < '0' || digit > '9') return std::nullopt;
    out += static_cast<unsigned>(digit - '0') * step;
    step /= 10;
  }
  return out <= whole ? std::optional{out} : std::nullopt;
}

// What one part of the list gives its coding; what cannot be read gives nothing.
unsigned weight_in(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto one = next_part(parameters, ';');
    const auto equals = one.find('=');
    if (equals != std::string_view::npos && same_word(one.substr(0, equals), "q"))
      return weight(one.substr(equals + 1)).value_or(0);
  }
  return whole;
}

struct weights {
  std::optional<unsigned> gzip, br, identity, rest;

  void take(std::string_view part) {
    const auto name = next_part(part, ';');
    const auto q = weight_in(part);
    if (same_word(name, "gzip") || same_word(name, "x-gzip")) gzip = q;
    if (same_word(name, "br")) br = q;
    if (same_word(name, "identity")) identity = q;
    if (name == "*") rest = q;
  }
};

} // namespace

std::string_view word(coding what) {
  switch (what) {
  case coding::gzip:
    return "gzip";
  case coding::br:
    return "br";
  case coding::identity:
    break;
  }
  return "identity";
}

std::optional<coding> choose_coding(std::string_view accept, bool gzip, bool br) {
  weights said;
  while (!accept.empty())
    said.take(next_part(accept, ','));
  std::optional<coding> best;
  unsigned most = 0;
  const auto offer = [&](coding what, unsigned q) {
    if (q <= most) return;
    best = what;
    most = q;
  };
  if (br) offer(coding::br, said.br.value_or(said.rest.value_or(0)));
  if (gzip) offer(coding::gzip, said.gzip.value_or(said.rest.value_or(0)));
  // What is not spoken of is taken, but less gladly than what is named.
  constexpr unsigned unsaid = 1;
  const auto plain = said.identity ? *said.identity : said.rest == 0U ? 0U : unsaid;
  offer(coding::identity, plain);
  return best;
}

} // namespace maru::net
