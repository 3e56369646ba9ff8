#pragma once

// What stands in a scrape, and which metrics a text speaks of.

#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace maru::tests {

class numbers {
public:
  explicit numbers(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto space = line.rfind(' ');
      if (line.starts_with("# TYPE ")) families_.insert(line.substr(7, line.find(' ', 7) - 7));
      if (!line.starts_with('#') && space != std::string::npos)
        values_[line.substr(0, space)] = std::stod(line.substr(space + 1));
    }
  }

  [[nodiscard]] bool has(const std::string& series) const { return values_.contains(series); }
  // As it is written: name{label="value"}.
  [[nodiscard]] double value(const std::string& series) const {
    const auto found = values_.find(series);
    if (found == values_.end()) throw std::runtime_error("no series " + series);
    return found->second;
  }
  [[nodiscard]] const std::set<std::string>& families() const { return families_; }
  [[nodiscard]] std::size_t series() const { return values_.size(); }

private:
  std::map<std::string, double> values_;
  std::set<std::string> families_;
};

// A scrape names this machine as Prometheus beside the server does.
inline const std::pair<std::string, std::string> named_here{"Host", "localhost:8080"};

inline std::string source_file(const std::string& path) {
  std::ifstream in(std::string{MARU_SOURCE_DIR} + "/" + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::set<std::string> metric_names_in(const std::string& text) {
  static const std::regex name(R"(\b(maru|process)_[a-z_]*[a-z]\b)");
  std::set<std::string> out;
  for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it)
    out.insert(it->str());
  return out;
}

} // namespace maru::tests
