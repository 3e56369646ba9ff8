#include "tests/bench/machine.hpp"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include <sys/utsname.h>

#include <nlohmann/json.hpp>

namespace maru::bench {
namespace {

std::string value_of(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) {
      const auto at = line.find_first_not_of(" \t", line.find(':') + 1);
      return at == line.npos ? "" : line.substr(at);
    }
  return "";
}

std::string first_line(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> from(::popen((command + " 2>/dev/null").c_str(), "r"),
                                                   ::pclose);
  char line[256] = "";
  if (!from || std::fgets(line, sizeof line, from.get()) == nullptr) return "";
  std::string out(line);
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

std::string date() {
  const auto now = std::time(nullptr);
  char out[32];
  std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return out;
}

// The one mounted nearest above the folder.
std::string file_system(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto path = std::filesystem::canonical(folder, ignored).string();
  std::ifstream in("/proc/self/mounts");
  std::string best, out;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string device, where, kind;
    words >> device >> where >> kind;
    const bool holds =
        path.starts_with(where) && (where == "/" || path.size() == where.size() || path[where.size()] == '/');
    if (!holds || where.size() < best.size()) continue;
    best = where;
    out = kind;
  }
  return out;
}

} // namespace

nlohmann::json about_this_run(const std::string& server, const std::filesystem::path& folder) {
  utsname system{};
  ::uname(&system);
  return {{"commit", first_line("git -C '" MARU_SOURCE_DIR "' describe --always --dirty --exclude '*'")},
          {"server", first_line("'" + server + "' version")},
          {"date", date()},
          {"processor", value_of("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory", value_of("/proc/meminfo", "MemTotal")},
          {"load_at_start", first_line("cut -d' ' -f1-3 /proc/loadavg")},
          {"kernel", std::string(system.sysname) + " " + system.release},
          {"compiler", __VERSION__},
          {"file_system", file_system(folder)}};
}

} // namespace maru::bench
