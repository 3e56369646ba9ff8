#include "config/machine.hpp"

#include <filesystem>
#include <system_error>

#include "config/address.hpp"
#include "config/report.hpp"
#include "config/values.hpp"

namespace maru::config {
namespace {

namespace fs = std::filesystem;

// The data directory is made at the start.
bool will_be_there(const fs::path& folder, const fs::path& data) {
  std::error_code failed;
  return fs::is_directory(folder, failed) || folder == fs::absolute(data, failed).lexically_normal();
}

void look_at_socket(const std::string& written, const fs::path& path, const fs::path& data,
                    report& problems) {
  std::error_code failed;
  const auto there = fs::symlink_status(path, failed);
  if (!will_be_there(path.parent_path(), data))
    problems.add("server.listen", shown(written) + " lies in a directory that does not exist",
                 "unix:/PATH in a directory that does");
  else if (fs::exists(there) && !fs::is_socket(there))
    problems.add("server.listen", shown(written) + " is a file, and no socket", "a path where there is none");
}

void look_at_client(const fs::path& folder, report& problems) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed))
    problems.add("server.static", shown(folder.string()) + " is no directory",
                 "a directory with an index.html");
  else if (!fs::is_regular_file(folder / "index.html", failed))
    problems.add("server.static", shown(folder.string()) + " holds no index.html",
                 "a directory with an index.html");
}

} // namespace

std::vector<problem> problems_here(const settings& of) {
  std::vector<problem> out;
  report problems{out};
  for (const auto& one : of.server.listen)
    if (const auto where = parse_address(one); where && where->local_socket())
      look_at_socket(one, where->path, of.server.data, problems);
  if (const auto& from = of.server.static_dir; !from.empty() && from != "off") look_at_client(from, problems);
  return out;
}

} // namespace maru::config
