#include "app/tree.hpp"

#include <ctime>
#include <iomanip>
#include <iostream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "app/control.hpp"
#include "base/text.hpp"
#include "net/local_get.hpp"

namespace maru::app {
namespace {

using json = nlohmann::json;

constexpr std::size_t columns = 80;
constexpr std::size_t troubled_most = 10, busy_most = 3; // of one nursery

std::string seconds(std::int64_t ms) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(ms < 10'000 ? 1 : 0) << static_cast<double>(ms) / 1000 << " s";
  return out.str();
}

std::string utc(std::int64_t ms) {
  const std::time_t at = ms / 1000;
  std::tm parts{};
  gmtime_r(&at, &parts);
  std::ostringstream out;
  out << std::put_time(&parts, "%F %T") << " UTC";
  return out.str();
}

std::int64_t number(const json& of, const char* key) {
  const auto it = of.find(key);
  return it != of.end() && it->is_number() ? it->get<std::int64_t>() : 0;
}

std::string words(const json& of, const char* key) {
  const auto it = of.find(key);
  return it != of.end() && it->is_string() ? it->get<std::string>() : "";
}

// Signs of a tree take three bytes and one column.
void line(const std::string& indent, std::size_t indent_columns, const std::string& what) {
  const auto room = columns - std::min(columns, indent_columns);
  const auto shown = what.size() <= room ? what : std::string{text::prefix(what, room - 1)} + "…";
  std::cout << indent << shown << "\n";
}

bool is_troubled(const json& c) {
  return !c.value("running", false) || number(c, "restarts") > 0 || !words(c, "waits_for").empty();
}

std::string summary(const json& c, std::size_t width) {
  std::ostringstream out;
  out << std::left << std::setw(static_cast<int>(width)) << words(c, "name");
  if (const auto state = words(c, "state"); state != "running") out << "  " << state;
  out << "  restarts " << number(c, "restarts");
  if (c.contains("restarts_most"))
    out << " (" << number(c, "restarts_in_period") << "/" << number(c, "restarts_most") << " in "
        << number(c, "period_seconds") << " s)";
  out << "  mailbox " << number(c, "messages") << ", " << seconds(number(c, "waited_ms"));
  return out.str();
}

void details(const json& c, const std::string& indent, std::size_t depth) {
  if (c.contains("living"))
    line(indent, depth,
         std::to_string(number(c, "living")) + " live, " + std::to_string(number(c, "backing_off")) +
             " in backoff, " + std::to_string(number(c, "fallen_in_period")) + "/" +
             std::to_string(number(c, "fallen_most")) + " fell in " +
             std::to_string(number(c, "fallen_period_seconds")) + " s");
  if (const auto what = words(c, "waits_for"); !what.empty())
    line(indent, depth, "waits for " + what + ": " + seconds(number(c, "work_waits_ms")));
  if (const auto error = words(c, "last_error"); !error.empty()) {
    line(indent, depth, "last error, " + utc(number(c, "last_error_at")) + ":");
    line(indent, depth, "  " + error);
  }
}

// The server sends the worst first.
std::vector<json> chosen(const json& children) {
  std::vector<json> out;
  std::size_t troubled = 0, busy = 0;
  for (const auto& c : children)
    if (is_troubled(c) ? ++troubled <= troubled_most : ++busy <= busy_most) out.push_back(c);
  return out;
}

void print(const json& tree) {
  constexpr std::size_t name_width = 10, id_width = 36;
  std::cout << "maru\n";
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const auto& c = tree[i];
    const bool last = i + 1 == tree.size();
    line(last ? "└─ " : "├─ ", 3, summary(c, name_width));
    const std::string below = last ? "   " : "│  ";
    details(c, below + "   ", 6);
    const auto it = c.find("children");
    if (it == c.end() || !it->is_array()) continue;
    const auto shown = chosen(*it);
    const auto left = static_cast<std::size_t>(number(c, "living") + number(c, "backing_off"));
    for (std::size_t k = 0; k < shown.size(); ++k) {
      const bool end = k + 1 == shown.size() && shown.size() >= left;
      line(below + (end ? "└─ " : "├─ "), 6, summary(shown[k], id_width));
      details(shown[k], below + (end ? "      " : "│     "), 9);
    }
    if (left > shown.size())
      line(below + "└─ ", 6, "and " + std::to_string(left - shown.size()) + " more; --json");
  }
}

} // namespace

int show_tree(const std::filesystem::path& data, bool as_json) {
  const auto control = read_control(data);
  if (!control) {
    std::cerr << "No server runs on " << data
              << ". Start one with `maru serve`, or name its data directory with "
              << "--config or --set server.data=DIR.\n";
    return 1;
  }
  const auto reply = net::local_get(control->address, "/api/v1/admin/tree", control->token);
  const auto tree = json::parse(reply.body, nullptr, false);
  if (reply.status != 200 || !tree.is_array()) {
    std::cerr << "The server at " << control->address << " does not answer"
              << (reply.status > 0 ? " as expected: " + std::to_string(reply.status) : "") << ".\n";
    return 1;
  }
  if (as_json)
    std::cout << tree.dump(2) << "\n";
  else
    print(tree);
  return std::cout.flush() ? 0 : 1;
}

} // namespace maru::app
