#include "tests/bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace maru::bench {

void failures::add(std::string_view what, std::uint64_t times) {
  const auto at = std::find_if(kinds_.begin(), kinds_.end(), [&](const kind& k) { return k.what == what; });
  if (at != kinds_.end())
    at->times += times;
  else
    kinds_.push_back({std::string(what), times});
}

std::uint64_t failures::count() const {
  std::uint64_t sum = 0;
  for (const auto& k : kinds_)
    sum += k.times;
  return sum;
}

double samples::percentile_ms(double p) {
  if (values_.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(p / 100 * static_cast<double>(values_.size())));
  const auto at = values_.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(values_.begin(), at, values_.end());
  return static_cast<double>(*at) / 1e6;
}

void print_table(const std::vector<row>& rows) {
  for (const auto& r : rows) {
    std::printf("%s\n", r.measurement.c_str());
    for (const auto& f : r.figures)
      std::printf("  %-44s %12.*f %s\n", f.name.c_str(), f.value >= 1000 ? 0 : 3, f.value, f.unit.c_str());
    std::printf("  %-44s %12llu\n", "failures", static_cast<unsigned long long>(r.failed.count()));
    for (const auto& k : r.failed.kinds())
      std::printf("    %6llu x %s\n", static_cast<unsigned long long>(k.times), k.what.c_str());
  }
  std::fflush(stdout);
}

void print_json(const std::vector<row>& rows) {
  auto out = nlohmann::json::array();
  for (const auto& r : rows) {
    nlohmann::json one{{"measurement", r.measurement}, {"failures", r.failed.count()}};
    for (const auto& f : r.figures)
      one["figures"].push_back({{"name", f.name}, {"value", f.value}, {"unit", f.unit}});
    for (const auto& k : r.failed.kinds())
      one["failure_kinds"][k.what] = k.times;
    out.push_back(std::move(one));
  }
  std::printf("%s\n", out.dump(2).c_str());
}

} // namespace maru::bench
