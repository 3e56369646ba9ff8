#include <fstream>
#include <map>

#include "actors/process_readings.hpp"
#include "tests/support/catch.hpp"

using namespace maru;

TEST_CASE("the process tells what it uses", "[actors][metrics]") {
  std::map<metric, double> got;
  for (const auto& r : actors::process_readings())
    got[r.what] = r.value;
  CHECK(got.at(metric::process_resident_bytes) > 1e6);
  CHECK(got.at(metric::process_open_fds) >= 3);
  CHECK(got.at(metric::process_open_fds) < got.at(metric::process_max_fds));
  CHECK(got.at(metric::process_start_time) > 1e9);
  CHECK(got.contains(metric::process_cpu_seconds));
  const std::ifstream one_more("/proc/self/stat");
  for (const auto& r : actors::process_readings())
    if (r.what == metric::process_open_fds) CHECK(r.value == got.at(metric::process_open_fds) + 1);
}
