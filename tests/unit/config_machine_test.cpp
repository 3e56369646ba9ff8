#include "config/machine.hpp"

#include <filesystem>
#include <fstream>

#include "base/uuid.hpp"
#include "tests/support/catch.hpp"

using namespace maru;

namespace {

struct folder {
  folder() { std::filesystem::create_directories(path); }
  ~folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("maru-here-" + uuid::v7(0).str());
};

std::vector<config::problem> with_socket(const std::filesystem::path& at,
                                         const std::filesystem::path& data = "data") {
  config::settings s;
  s.server.listen = {"127.0.0.1:0", "unix:" + at.string()};
  s.server.data = data;
  return config::problems_here(s);
}

std::vector<config::problem> with_client(const std::string& from) {
  config::settings s;
  s.server.static_dir = from;
  return config::problems_here(s);
}

} // namespace

TEST_CASE("a socket file needs a directory, and a place that no other file has", "[config]") {
  const folder f;
  std::ofstream{f.path / "file"} << "x";
  std::filesystem::create_symlink("nowhere", f.path / "link");
  CHECK(with_socket(f.path / "new.sock").empty());
  CHECK(with_socket(f.path / "data" / "new.sock", f.path / "data").empty()); // made at the start
  for (const auto* bad : {"missing/new.sock", "file", "file/new.sock", "link", "."}) {
    CAPTURE(bad);
    const auto got = with_socket(f.path / bad);
    REQUIRE(got.size() == 1);
    CHECK(got.front().path == "server.listen");
  }
}

TEST_CASE("a directory of the client has to be there and hold a page", "[config]") {
  const folder f;
  CHECK(with_client("").empty());
  CHECK(with_client("off").empty());
  std::ofstream{f.path / "file"} << "x";
  for (const auto& bad : {f.path / "missing", f.path / "file", f.path}) {
    CAPTURE(bad);
    const auto got = with_client(bad.string());
    REQUIRE(got.size() == 1);
    CHECK(got.front().path == "server.static");
  }
  std::ofstream{f.path / "index.html"} << "x";
  CHECK(with_client(f.path.string()).empty());
}
