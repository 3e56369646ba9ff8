#include "llm/sse.hpp"

#include "tests/fuzz/input.hpp"

// An event stream gives the same events wherever it is cut, and those that a plain reading of the standard
// gives.
namespace maru::fuzz {
namespace {

struct seen {
  std::vector<std::pair<std::string, std::string>> events;
  bool too_large = false, foreign = false;

  friend bool operator==(const seen&, const seen&) = default;
};

seen read(const std::vector<std::string>& pieces, std::size_t most) {
  llm::sse_parser parser{most};
  seen out;
  const auto note = [&](const llm::sse_event& one) { out.events.emplace_back(one.name, one.data); };
  for (auto piece : pieces) {
    parser.feed(piece);
    while (const auto event = parser.next())
      note(*event);
    piece.assign(piece.size(), '#'); // the buffer of a socket is used again
  }
  if (const auto last = parser.finish()) note(*last);
  out.too_large = parser.too_large();
  out.foreign = parser.foreign();
  return out;
}

std::vector<std::string> lines_of(std::string_view bytes) {
  std::vector<std::string> out(1);
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n') continue;
    if (bytes[i] == '\r' || bytes[i] == '\n')
      out.emplace_back();
    else
      out.back().push_back(bytes[i]);
  }
  out.emplace_back(); // a last event needs no empty line here
  return out;
}

// HTML, 9.2.6, without ids and retry times.
std::vector<std::pair<std::string, std::string>> by_the_standard(std::string_view bytes) {
  std::vector<std::pair<std::string, std::string>> out;
  std::string name, data;
  bool any = false;
  const auto take = [&](const std::string& line) {
    const auto colon = line.find(':');
    auto value = colon == line.npos ? std::string{} : line.substr(colon + 1);
    if (value.starts_with(' ')) value.erase(0, 1);
    if (line.substr(0, colon) == "event") name = value;
    if (line.substr(0, colon) != "data") return;
    data += (any ? "\n" : "") + value;
    any = true;
  };
  for (const auto& line : lines_of(bytes)) {
    if (!line.empty()) {
      take(line);
      continue;
    }
    if (any) out.emplace_back(name, data);
    name.clear();
    data.clear();
    any = false;
  }
  return out;
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const std::size_t most = 1 + std::size_t{in.byte()} * 4;
  std::vector<std::size_t> cuts{in.up_to(bytes.size()), in.up_to(bytes.size())};
  const auto stream = in.rest();
  const auto whole = read({std::string{stream}}, most);
  holds(read(in_pieces(stream, cuts), most) == whole, "cuts change nothing");
  cuts.clear();
  for (std::size_t i = 1; i < stream.size(); ++i)
    cuts.push_back(i);
  holds(read(in_pieces(stream, cuts), most) == whole, "byte by byte it is the same");
  if (!whole.too_large)
    holds(whole.events == by_the_standard(stream), "the events are those of the standard");
  for (const auto& [name, data] : whole.events)
    holds(name.size() <= most && data.size() <= most, "no event is beyond the bound");
}

} // namespace maru::fuzz
