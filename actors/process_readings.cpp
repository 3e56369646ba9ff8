#include "actors/process_readings.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <sys/resource.h>
#include <unistd.h>

namespace maru::actors {
namespace {

// The fields of /proc/self/stat after the name, which may hold anything: [0] is the state.
std::vector<std::string> fields_of_stat() {
  std::ifstream in("/proc/self/stat");
  std::string text(std::istreambuf_iterator<char>(in), {});
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(text.substr(name_end + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

double boot_time() {
  std::ifstream in("/proc/stat");
  for (std::string word; in >> word;)
    if (double at = 0; word == "btime" && in >> at) return at;
  return 0;
}

double open_files() {
  std::error_code failed;
  double out = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end;
       at.increment(failed))
    ++out;
  return out > 0 ? out - 1 : 0; // without the one that reads the directory
}

} // namespace

std::vector<reading> process_readings() {
  constexpr std::size_t user_time = 11, system_time = 12, start_time = 19, resident_pages = 21;
  std::vector<reading> out;
  if (const auto fields = fields_of_stat(); fields.size() > resident_pages) {
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto number = [&](std::size_t at) { return std::stod(fields[at]); };
    out.push_back({metric::process_cpu_seconds, (number(user_time) + number(system_time)) / ticks});
    out.push_back({metric::process_resident_bytes,
                   number(resident_pages) * static_cast<double>(::sysconf(_SC_PAGESIZE))});
    out.push_back({metric::process_start_time, boot_time() + number(start_time) / ticks});
  }
  out.push_back({metric::process_open_fds, open_files()});
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    out.push_back({metric::process_max_fds, static_cast<double>(limit.rlim_cur)});
  return out;
}

} // namespace maru::actors
