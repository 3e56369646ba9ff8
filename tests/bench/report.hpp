#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace maru::bench {

struct spent;

// What went wrong, counted by its kind.
class failures {
public:
  void add(std::string_view what, std::uint64_t times = 1);
  void add(const failures& more);
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

// One round of one measurement.
struct row {
  std::string measurement;
  std::vector<figure> figures;
  failures failed;
};

// What `count` of something, each `thing`, took of the server, the clients and the model server.
void add_costs(row& to, const spent& what, double count, double each, const std::string& thing);

class samples {
public:
  void add(std::int64_t ns) { values_.push_back(ns); }
  void clear() { values_.clear(); }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] double percentile_ms(double p);
  [[nodiscard]] double most_ms() { return percentile_ms(100); }

private:
  std::vector<std::int64_t> values_;
};

// All rounds of one measurement.
struct rounds {
  struct line {
    std::string name, unit;
    std::vector<double> values;

    [[nodiscard]] double median() const;
    [[nodiscard]] double least() const;
    [[nodiscard]] double most() const;
  };
  std::string measurement;
  std::vector<line> lines;
  failures failed;

  void add(const row& one);
  [[nodiscard]] const line* find(std::string_view name) const;
};

// Round by round; what only one of them knows is left out.
rounds ratio(const rounds& one, const rounds& other, const std::string& name);

void print_table(const rounds& one);
nlohmann::json json_of(const std::vector<rounds>& all, const nlohmann::json& about);
// The medians of now, divided by those of then.
void print_comparison(const std::vector<rounds>& now, const nlohmann::json& then);

} // namespace maru::bench
