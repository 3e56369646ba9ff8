#include <algorithm>
#include <set>
#include <thread>

#include <nlohmann/json.hpp>
#include <prometheus/check_names.h>

#include "base/codes.hpp"
#include "llm/provider.hpp"
#include "net/server.hpp"
#include "storage/store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/numbers.hpp"

using namespace maru;
using namespace maru::tests;

namespace {

const metric_names names{"1.2.3", {"local", "cloud"}, {"GET /a", "static", "other"}};

const metric_declaration& declared(const std::vector<metric_declaration>& table, metric what) {
  return table.at(static_cast<std::size_t>(what));
}

std::vector<std::string> values_of(metric what, std::size_t label = 0) {
  return declared(metric_table(names), what).labels.at(label).values;
}

std::set<std::string> declared_names() {
  std::set<std::string> out;
  for (const auto& one : metric_table(names)) {
    out.insert(one.name);
    if (one.type == metric_type::histogram)
      for (const auto* part : {"_bucket", "_sum", "_count"})
        out.insert(one.name + part);
  }
  return out;
}

} // namespace

// --- the table -----------------------------------------------------------------------------------------

TEST_CASE("every metric has a valid name of its own, says what it is, and has labels with values",
          "[base][metrics]") {
  std::set<std::string> seen;
  for (const auto& one : metric_table(names)) {
    CAPTURE(one.name);
    CHECK(prometheus::CheckMetricName(one.name));
    CHECK(seen.insert(one.name).second);
    CHECK((one.name.starts_with("maru_") || one.name.starts_with("process_")));
    CHECK(one.name.ends_with("_total") == (one.type == metric_type::counter));
    CHECK(one.help.size() > 10);
    CHECK(one.buckets.empty() == (one.type != metric_type::histogram));
    CHECK(std::ranges::is_sorted(one.buckets));
    std::size_t series = 1;
    for (const auto& label : one.labels) {
      CHECK_FALSE(label.values.empty());
      CHECK(std::set(label.values.begin(), label.values.end()).size() == label.values.size());
      series *= label.values.size();
    }
    CHECK(series <= 300); // what the route and the class of status make, with room
  }
  CHECK(seen.size() == metric_count);
}

TEST_CASE("labels that are found by number have the words of the enums they stand for", "[base][metrics]") {
  const auto failures = values_of(metric::store_refused);
  CHECK(failures.size() == static_cast<std::size_t>(storage::failure::fatal) + 1);
  for (std::size_t i = 0; i < failures.size(); ++i)
    CHECK(failures[i] == storage::word(static_cast<storage::failure>(i)));
  const auto codes = values_of(metric::commands_refused);
  for (std::size_t i = 0; i < codes.size(); ++i)
    CHECK(codes[i] == word(static_cast<code>(i)));
  const auto outcomes = values_of(metric::provider_calls, 1);
  const auto faults = static_cast<std::size_t>(llm::fault::too_large) + 1;
  REQUIRE(outcomes.size() == faults + 1);
  const auto ends = values_of(metric::answers);
  for (std::size_t i = 1; i < faults; ++i) {
    const std::string fault{llm::word(static_cast<llm::fault>(i))};
    CHECK(outcomes[i] == fault);
    CHECK(std::ranges::count(ends, fault) == 1);
  }
  CHECK(values_of(metric::frames_received).size() == static_cast<std::size_t>(frame_type::retry) + 1);
  CHECK(values_of(metric::received_bytes).size() == static_cast<std::size_t>(connection_kind::sse) + 1);
}

TEST_CASE("routes are counted by their patterns, files and strays each as one", "[base][metrics]") {
  const auto routes = net::route_names();
  CHECK(std::ranges::count(routes, "GET /api/v1/rooms/{id}/events") == 1);
  CHECK(std::ranges::count(routes, "POST /api/v1/rooms/{id}/answers/{id}/stop") == 1);
  CHECK(routes.at(routes.size() - 2) == "static");
  CHECK(routes.back() == "other");
}

// --- counting ------------------------------------------------------------------------------------------

TEST_CASE("what is counted is rendered", "[base][metrics]") {
  metrics counts(names);
  counts.add(metric::store_steps, 3);
  counts.add_at(metric::provider_calls, counts.place(metric::provider_calls, 1, 8));
  counts.add_at(metric::provider_calls_running, 0, 2);
  counts.take_at(metric::provider_calls_running, 0);
  counts.add_at(metric::http_requests, counts.place(metric::http_requests, 0, 3));
  const numbers got{counts.render({})};
  CHECK(got.value("maru_store_steps_total") == 3);
  CHECK(got.value(R"(maru_provider_calls_total{provider="cloud",outcome="cancelled"})") == 1);
  CHECK(got.value(R"(maru_provider_calls_total{provider="local",outcome="cancelled"})") == 0);
  CHECK(got.value(R"(maru_provider_calls_running{provider="local"})") == 1);
  CHECK(got.value(R"(maru_http_requests_total{route="GET /a",status="4xx"})") == 1);
  CHECK(got.value(R"(maru_build_info{version="1.2.3"})") == 1);
}

TEST_CASE("a histogram's buckets are cumulative, each with its bound in it", "[base][metrics]") {
  metrics counts(names);
  for (const double steps : {1., 2., 3., 1024., 5000.})
    counts.observe(metric::store_group_steps, steps);
  const numbers got{counts.render({})};
  CHECK(got.value(R"(maru_store_group_steps_bucket{le="1"})") == 1);
  CHECK(got.value(R"(maru_store_group_steps_bucket{le="2"})") == 2);
  CHECK(got.value(R"(maru_store_group_steps_bucket{le="4"})") == 3);
  CHECK(got.value(R"(maru_store_group_steps_bucket{le="1024"})") == 4);
  CHECK(got.value(R"(maru_store_group_steps_bucket{le="+Inf"})") == 5);
  CHECK(got.value("maru_store_group_steps_count") == 5);
  CHECK(got.value("maru_store_group_steps_sum") == 6030);
}

TEST_CASE("what is read on demand is there when it was read, and not as a zero otherwise",
          "[base][metrics]") {
  const metrics counts(names);
  CHECK_FALSE(numbers{counts.render({})}.has("maru_store_disk_free_bytes"));
  const std::vector<reading> readings{{metric::store_disk_free_bytes, 5e11}, {metric::connections, 7, 1}};
  const numbers got{counts.render(readings)};
  CHECK(got.value("maru_store_disk_free_bytes") == 5e11);
  CHECK(got.value(R"(maru_connections{kind="ws"})") == 7);
  CHECK_FALSE(got.has(R"(maru_connections{kind="http"})"));
}

TEST_CASE("names from the configuration cannot break out of their line", "[base][metrics]") {
  const metrics counts({"1\"\n2\\", {}, {}});
  const auto text = counts.render({});
  CHECK(text.find(R"(maru_build_info{version="1\"\n2\\"} 1)") != std::string::npos);
}

TEST_CASE("a place that does not exist counts nothing, and an unknown word is the last one",
          "[base][metrics]") {
  metrics counts(names);
  const auto before = counts.render({});
  counts.add_at(metric::commands_refused, 1'000'000);
  counts.observe_at(metric::http_request_seconds, 1'000'000, 1);
  CHECK(counts.render({}) == before);
  CHECK(counts.at(metric::actors, "nobody") == counts.at(metric::actors, "other"));
  metrics without; // no provider, no route
  without.add_at(metric::provider_calls, without.at(metric::provider_calls, "any"));
  CHECK(without.render({}).find("maru_provider_calls_total") == std::string::npos);
}

TEST_CASE("nothing is lost when many threads count", "[base][metrics]") {
  metrics counts(names);
  constexpr std::uint64_t each = 20'000, threads = 4;
  std::vector<std::thread> all;
  for (std::uint64_t i = 0; i < threads; ++i)
    all.emplace_back([&] {
      for (std::uint64_t n = 0; n < each; ++n) {
        counts.add(metric::answer_pieces);
        counts.observe(metric::answer_seconds, 1);
      }
    });
  for (auto& t : all)
    t.join();
  CHECK(counts.value(metric::answer_pieces) == each * threads);
  CHECK(counts.value(metric::answer_seconds) == each * threads);
}

// --- the documents -------------------------------------------------------------------------------------

TEST_CASE("docs/operations.md tells of every metric, and of none that is not there", "[base][metrics]") {
  const auto told = metric_names_in(source_file("docs/operations.md"));
  const auto known = declared_names();
  for (const auto& one : metric_table(names)) {
    CAPTURE(one.name);
    CHECK((told.contains(one.name) || told.contains(one.name + "_bucket")));
  }
  for (const auto& name : told) {
    CAPTURE(name);
    CHECK(known.contains(name));
  }
}

TEST_CASE("the dashboard is JSON, and asks for nothing that is not there", "[base][metrics]") {
  const auto text = source_file("deploy/grafana-maru.json");
  const auto dashboard = nlohmann::json::parse(text, nullptr, false);
  REQUIRE(dashboard.is_object());
  const auto known = declared_names();
  std::size_t queries = 0;
  std::set<int> ids;
  for (const auto& panel : dashboard.at("panels")) {
    CAPTURE(panel.at("title").get<std::string>());
    CHECK(ids.insert(panel.at("id").get<int>()).second);
    if (panel.at("type") == "row") continue;
    CHECK_FALSE(panel.at("targets").empty());
    for (const auto& target : panel.at("targets")) {
      const auto asked = metric_names_in(target.at("expr").get<std::string>());
      CHECK_FALSE(asked.empty());
      for (const auto& name : asked) {
        CAPTURE(name);
        CHECK(known.contains(name));
      }
      ++queries;
    }
  }
  CHECK(queries > 20);
}
