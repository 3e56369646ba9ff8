#include "base/metrics.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace maru {
namespace {

constexpr double parts_of_unit = 1e6; // sums are kept in millionths: an integer is added without a loop

prometheus::MetricType type_of(metric_type type) {
  switch (type) {
  case metric_type::counter:
    return prometheus::MetricType::Counter;
  case metric_type::histogram:
    return prometheus::MetricType::Histogram;
  default:
    return prometheus::MetricType::Gauge;
  }
}

std::size_t series_of(const metric_declaration& one) {
  std::size_t out = 1;
  for (const auto& label : one.labels)
    out *= label.values.size();
  return out;
}

prometheus::ClientMetric labelled(const metric_declaration& one, std::size_t at) {
  prometheus::ClientMetric out;
  out.label.resize(one.labels.size());
  for (auto i = one.labels.size(); i-- > 0;) {
    const auto& label = one.labels[i];
    out.label[i].name = label.name;
    out.label[i].value = label.values[at % label.values.size()];
    at /= label.values.size();
  }
  return out;
}

void put(prometheus::ClientMetric& to, metric_type type, double value) {
  (type == metric_type::counter ? to.counter.value : to.gauge.value) = value;
}

} // namespace

metrics::metrics(const metric_names& names) : version_(names.version), table_(metric_table(names)) {
  std::size_t slots = 0;
  for (std::size_t i = 0; i < table_.size(); ++i) {
    const auto& one = table_[i];
    if (static_cast<std::size_t>(one.what) != i) throw std::logic_error("a metric is not in its place");
    const auto width = one.type == metric_type::histogram ? one.buckets.size() + 2 : 1; // above all, the sum
    places_.push_back({slots, series_of(one), width});
    if (!one.read) slots += places_.back().series * width;
  }
  if (table_.size() != metric_count) throw std::logic_error("a metric is not in the table");
  slots_ = std::make_unique<slot[]>(slots);
}

void metrics::add_at(metric what, std::size_t at, std::uint64_t n) {
  const auto& p = where(what);
  if (at < p.series) slots_[p.first + at].n.fetch_add(n, std::memory_order_relaxed);
}

void metrics::take_at(metric what, std::size_t at, std::uint64_t n) {
  add_at(what, at, std::uint64_t{0} - n);
}

void metrics::observe_at(metric what, std::size_t at, double value) {
  const auto& p = where(what);
  if (at >= p.series) return;
  const auto& buckets = table_[static_cast<std::size_t>(what)].buckets;
  std::size_t bucket = 0;
  while (bucket < buckets.size() && value > buckets[bucket])
    ++bucket;
  auto* const slots = &slots_[p.first + at * p.width];
  slots[bucket].n.fetch_add(1, std::memory_order_relaxed);
  const auto sum = static_cast<std::uint64_t>(std::max(0.0, value) * parts_of_unit);
  slots[buckets.size() + 1].n.fetch_add(sum, std::memory_order_relaxed);
}

std::size_t metrics::place(metric what, std::size_t first, std::size_t second) const {
  return first * table_[static_cast<std::size_t>(what)].labels[1].values.size() + second;
}

std::size_t metrics::at(metric what, std::string_view value, std::size_t label) const {
  const auto& values = table_[static_cast<std::size_t>(what)].labels[label].values;
  const auto found = std::ranges::find(values, value);
  return found == values.end() ? values.size() - 1 : static_cast<std::size_t>(found - values.begin());
}

std::uint64_t metrics::value(metric what, std::size_t at) const {
  const auto& p = where(what);
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < std::max<std::size_t>(1, p.width - 1) && at < p.series; ++i)
    out += slot_value(p.first + at * p.width + i);
  return out;
}

std::string metrics::render(std::span<const reading> readings) const {
  std::vector<prometheus::MetricFamily> all(table_.size());
  for (std::size_t i = 0; i < table_.size(); ++i) {
    const auto& one = table_[i];
    auto& family = all[i];
    family.name = one.name;
    family.help = one.help;
    family.type = type_of(one.type);
    const auto& p = places_[i];
    for (std::size_t at = 0; at < p.series && !one.read; ++at) {
      auto& row = family.metric.emplace_back(labelled(one, at));
      const auto from = p.first + at * p.width;
      if (one.type != metric_type::histogram) {
        put(row, one.type, static_cast<double>(static_cast<std::int64_t>(slot_value(from))));
        continue;
      }
      for (std::size_t b = 0; b <= one.buckets.size(); ++b) {
        row.histogram.sample_count += slot_value(from + b);
        const auto bound = b < one.buckets.size() ? one.buckets[b] : std::numeric_limits<double>::infinity();
        row.histogram.bucket.push_back({row.histogram.sample_count, bound});
      }
      row.histogram.sample_sum = static_cast<double>(slot_value(from + p.width - 1)) / parts_of_unit;
    }
  }
  const auto put_reading = [&](const reading& r) {
    const auto i = static_cast<std::size_t>(r.what);
    if (table_[i].read && r.at < places_[i].series)
      put(all[i].metric.emplace_back(labelled(table_[i], r.at)), table_[i].type, r.value);
  };
  put_reading({metric::build_info, 1});
  for (const auto& r : readings)
    put_reading(r);
  std::erase_if(all, [](const auto& family) { return family.metric.empty(); });
  return prometheus::TextSerializer{}.Serialize(all);
}

} // namespace maru
