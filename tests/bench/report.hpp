#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace maru::bench {

// What went wrong, counted by its kind.
class failures {
public:
  void add(std::string_view what, std::uint64_t times = 1);
  [[nodiscard]] std::uint64_t count() const;
  struct kind {
    std::string what;
    std::uint64_t times = 0;
  };
  [[nodiscard]] const std::vector<kind>& kinds() const { return kinds_; }

private:
  std::vector<kind> kinds_;
};

struct figure {
  std::string name;
  double value = 0;
  std::string unit;
};

struct row {
  std::string measurement;
  std::vector<figure> figures;
  failures failed;
};

class samples {
public:
  void add(std::int64_t ns) { values_.push_back(ns); }
  void clear() { values_.clear(); }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] double percentile_ms(double p);

private:
  std::vector<std::int64_t> values_;
};

void print_table(const std::vector<row>& rows);
void print_json(const std::vector<row>& rows);

} // namespace maru::bench
