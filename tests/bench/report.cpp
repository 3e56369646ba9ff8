#include "tests/bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "tests/bench/process.hpp"

namespace maru::bench {
namespace {

constexpr int name_width = 46;

int digits(double value) { return std::abs(value) >= 1000 ? 0 : 3; }

// 1,000,000
std::string grouped(std::uint64_t number) {
  auto digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

} // namespace

void failures::add(std::string_view what, std::uint64_t times) {
  const auto at = std::find_if(kinds_.begin(), kinds_.end(), [&](const kind& k) { return k.what == what; });
  if (at != kinds_.end())
    at->times += times;
  else
    kinds_.push_back({std::string(what), times});
}

void failures::add(const failures& more) {
  for (const auto& k : more.kinds_)
    add(k.what, k.times);
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

void add_costs(row& to, const spent& what, double count, double each, const std::string& thing) {
  if (count <= 0) return;
  const auto many =
      "per " + (each > 1 ? grouped(static_cast<std::uint64_t>(each)) + " " + thing + "s" : thing);
  to.figures.push_back({"server CPU " + many, what.server_cpu / count * each, "s"});
  to.figures.push_back({"client CPU " + many, what.client_cpu / count * each, "s"});
  to.figures.push_back({"model server CPU " + many, what.model_cpu / count * each, "s"});
  to.figures.push_back({"server's waits per " + thing, what.waits / count, ""});
  if (what.instructions)
    to.figures.push_back({"server instructions per " + thing, *what.instructions / count, ""});
  to.figures.push_back({"server CPU", what.server_cpu / what.seconds * 100, "% of a core"});
}

// --- rounds -----------------------------------------------------------------------------------------------

double rounds::line::median() const {
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto half = sorted.size() / 2;
  if (sorted.empty()) return 0;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double rounds::line::least() const { return *std::min_element(values.begin(), values.end()); }
double rounds::line::most() const { return *std::max_element(values.begin(), values.end()); }

void rounds::add(const row& one) {
  measurement = one.measurement;
  failed.add(one.failed);
  for (const auto& f : one.figures) {
    const auto at = std::find_if(lines.begin(), lines.end(), [&](const line& l) { return l.name == f.name; });
    if (at != lines.end())
      at->values.push_back(f.value);
    else
      lines.push_back({f.name, f.unit, {f.value}});
  }
}

const rounds::line* rounds::find(std::string_view name) const {
  const auto at = std::find_if(lines.begin(), lines.end(), [&](const line& l) { return l.name == name; });
  return at == lines.end() ? nullptr : &*at;
}

rounds ratio(const rounds& one, const rounds& other, const std::string& name) {
  rounds out;
  out.measurement = name;
  for (const auto& mine : one.lines) {
    const auto* theirs = other.find(mine.name);
    if (theirs == nullptr || theirs->values.size() != mine.values.size()) continue;
    rounds::line made{mine.name, "x", {}};
    for (std::size_t i = 0; i < mine.values.size(); ++i)
      if (theirs->values[i] != 0) made.values.push_back(mine.values[i] / theirs->values[i]);
    if (!made.values.empty()) out.lines.push_back(std::move(made));
  }
  return out;
}

// --- printing ---------------------------------------------------------------------------------------------

void print_table(const rounds& one) {
  std::printf("%s\n", one.measurement.c_str());
  for (const auto& l : one.lines) {
    const auto value = l.median();
    std::printf("  %-*s %12.*f %s", name_width, l.name.c_str(), digits(value), value, l.unit.c_str());
    if (l.values.size() > 1)
      std::printf("  (%.*f to %.*f)", digits(l.least()), l.least(), digits(l.most()), l.most());
    std::printf("\n");
  }
  std::printf("  %-*s %12llu\n", name_width, "failures", static_cast<unsigned long long>(one.failed.count()));
  for (const auto& k : one.failed.kinds())
    std::printf("    %6llu x %s\n", static_cast<unsigned long long>(k.times), k.what.c_str());
  std::fflush(stdout);
}

nlohmann::json json_of(const std::vector<rounds>& all, const nlohmann::json& about) {
  auto measured = nlohmann::json::array();
  for (const auto& r : all) {
    nlohmann::json one{
        {"measurement", r.measurement}, {"failures", r.failed.count()}, {"figures", nlohmann::json::array()}};
    for (const auto& l : r.lines)
      one["figures"].push_back({{"name", l.name},
                                {"unit", l.unit},
                                {"median", l.median()},
                                {"min", l.least()},
                                {"max", l.most()},
                                {"rounds", l.values}});
    for (const auto& k : r.failed.kinds())
      one["failure_kinds"][k.what] = k.times;
    measured.push_back(std::move(one));
  }
  return {{"about", about}, {"measurements", std::move(measured)}};
}

void print_comparison(const std::vector<rounds>& now, const nlohmann::json& then) {
  std::printf("\nnow / then (%s of %s)\n", then.at("about").value("commit", "?").c_str(),
              then.at("about").value("date", "?").c_str());
  for (const auto& r : now)
    for (const auto& old : then.at("measurements")) {
      if (old.value("measurement", "") != r.measurement) continue;
      std::printf("%s\n", r.measurement.c_str());
      for (const auto& f : old.at("figures")) {
        const auto* mine = r.find(f.value("name", ""));
        const auto theirs = f.value("median", 0.0);
        if (mine == nullptr || theirs == 0) continue;
        std::printf("  %-*s %12.3f  (%.*f / %.*f %s)\n", name_width, mine->name.c_str(),
                    mine->median() / theirs, digits(mine->median()), mine->median(), digits(theirs), theirs,
                    mine->unit.c_str());
      }
    }
}

} // namespace maru::bench
