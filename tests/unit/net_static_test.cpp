// Files of the browser client: compressed, kept, told apart.

#include <filesystem>
#include <fstream>

#include "net/content_coding.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using net::coding;

namespace {

struct static_rig : net_rig {
  static_rig() {
    files["index.html"] = "<html>";
    files["app.js"] = "plain";
    files["app.js.gz"] = "zipped";
    files["app.js.br"] = "brotli";
    files["style.css"] = "css";
    files["style.css.gz"] = "css zipped";
    files["data.gz"] = "no form of another";
  }
  http_reply take(const std::string& path, const std::string& accept, headers more = {}) {
    if (!accept.empty()) more.emplace_back("Accept-Encoding", accept);
    return get(path, more);
  }
};

} // namespace

TEST_CASE("the coding that a client takes most gladly is chosen, the smallest among equals",
          "[net][static]") {
  struct given {
    const char* accept;
    std::optional<coding> all, gzip_only, none;
  };
  const auto no = std::optional<coding>{};
  const auto plain = coding::identity, gz = coding::gzip, br = coding::br;
  for (const auto& one : std::vector<given>{
           {"", plain, plain, plain},
           {"gzip", gz, gz, plain},
           {"GZIP", gz, gz, plain},
           {"x-gzip", gz, gz, plain},
           {"gzip, deflate, br", br, gz, plain},
           {"*", br, gz, plain},
           {"br;q=0.5, gzip", gz, gz, plain},
           {"gzip;q=0.5, identity", plain, plain, plain},
           {"gzip;q=0, br;q=0", plain, plain, plain},
           {"identity;q=0", no, no, no},
           {"identity;q=0, gzip", gz, gz, no},
           {"*;q=0", no, no, no},
           {"*;q=0, gzip;q=0.001", gz, gz, no},
           {"*;q=0, identity;q=0.1", plain, plain, plain},
           {"gzip;q=1.000", gz, gz, plain},
           {"gzip ; q=1 , br ; q=0", gz, gz, plain},
           {"gzip;q=1.001, br;q=-1", plain, plain, plain}, // what cannot be read is not taken
           {"gzip;q=, br;q=x", plain, plain, plain},
           {"gzip;q=0.1234", plain, plain, plain},
           {"deflate, zstd", plain, plain, plain},
           {",,;;,q=1,;q=0", plain, plain, plain},
           {"gzipped", plain, plain, plain},
       }) {
    CAPTURE(one.accept);
    CHECK(net::choose_coding(one.accept, true, true) == one.all);
    CHECK(net::choose_coding(one.accept, true, false) == one.gzip_only);
    CHECK(net::choose_coding(one.accept, false, false) == one.none);
  }
}

TEST_CASE("a file is sent compressed to who takes that, with a tag of its own", "[net][static]") {
  static_rig rig;
  rig.start();
  const auto plain = rig.take("/app.js", ""), gzip = rig.take("/app.js", "gzip"),
             br = rig.take("/app.js", "gzip, br");
  CHECK(plain.body == "plain");
  CHECK_FALSE(plain.has("content-encoding"));
  CHECK(gzip.body == "zipped");
  CHECK(gzip.field("content-encoding") == "gzip");
  CHECK(br.body == "brotli");
  CHECK(br.field("content-encoding") == "br");
  for (const auto* got : {&plain, &gzip, &br}) {
    CHECK(got->field("content-type") == "text/javascript; charset=utf-8");
    CHECK(got->field("vary") == "Accept-Encoding");
  }
  CHECK(plain.field("etag") != gzip.field("etag"));
  CHECK(gzip.field("etag") != br.field("etag"));
  CHECK(rig.take("/style.css", "br").body == "css");
  CHECK(rig.take("/style.css", "br, gzip;q=0.1").body == "css zipped");
  CHECK_FALSE(rig.take("/", "gzip").has("vary"));
}

TEST_CASE("what a browser has is not sent again, in whichever coding it has it", "[net][static]") {
  static_rig rig;
  rig.start();
  const auto tag = rig.take("/app.js", "gzip").field("etag");
  const auto same = rig.take("/app.js", "gzip", {{"If-None-Match", "\"x\", W/" + tag}});
  CHECK(same.status == 304);
  CHECK(same.field("etag") == tag);
  CHECK(same.field("vary") == "Accept-Encoding");
  CHECK(same.has("cache-control"));
  CHECK_FALSE(same.has("content-length"));
  CHECK(rig.take("/app.js", "", {{"If-None-Match", tag}}).status == 200); // of the other coding
  CHECK(rig.take("/app.js", "", {{"If-None-Match", "*"}}).status == 304);
}

TEST_CASE("who takes none of what there is gets nothing, and replies of the API are never compressed",
          "[net][static]") {
  static_rig rig;
  rig.start();
  const auto got = rig.take("/app.js", "identity;q=0, zstd");
  CHECK(got.status == 406);
  CHECK(got.field("content-type") == "application/problem+json");
  CHECK_FALSE(rig.take("/healthz", "gzip, br").has("content-encoding"));
  CHECK(rig.take("/healthz", "identity;q=0, gzip").status == 200);
}

TEST_CASE("a compressed form is no file of its own, and another archive is", "[net][static]") {
  static_rig rig;
  rig.start();
  CHECK(rig.get("/app.js.gz").status == 404);
  CHECK(rig.get("/app.js.br").status == 404);
  CHECK(rig.get("/data.gz").body == "no form of another");
}

TEST_CASE("what has a hash in its name may be kept for ever, all else is asked for again", "[net][static]") {
  static_rig rig;
  const std::vector<std::string> kept{"assets/0123456789abcdef/app.js",    "assets/index-DiwrgTda.js",
                                      "assets/index-BfX_1-3a.css",         "assets/vendor-a1b2c3d4.js.map",
                                      "assets/fonts/inter-4Fg7aQ_z.woff2", "assets/a.b1c2d3e4.js"};
  const std::vector<std::string> asked{"app.js",
                                       "assets/app.js",
                                       "assets/the-settings.js", // a word and no hash
                                       "assets/0123456789abcdeg/app.js",
                                       "assets/index-short1.js",
                                       "index-DiwrgTda.js",
                                       "other/index-DiwrgTda.js",
                                       "assets/DiwrgTda.js"};
  for (const auto& list : {kept, asked})
    for (const auto& path : list)
      rig.files[path] = "x";
  rig.start();
  for (const auto& path : kept) {
    CAPTURE(path);
    CHECK(rig.get("/" + path).field("cache-control") == "public, max-age=31536000, immutable");
  }
  for (const auto& path : asked) {
    CAPTURE(path);
    CHECK(rig.get("/" + path).field("cache-control") == "no-cache");
  }
  CHECK(rig.get("/").field("cache-control") == "no-cache");
  CHECK(rig.get("/assets/missing-DiwrgTda.js").field("cache-control") == "no-store");
}

TEST_CASE("a directory's compressed siblings are used", "[net][static]") {
  const auto folder = std::filesystem::temp_directory_path() / ("maru-static-" + uuid::v7(0).str());
  std::filesystem::create_directories(folder / "assets");
  std::ofstream{folder / "index.html"} << "page";
  std::ofstream{folder / "index.html.gz"} << "page zipped";
  std::ofstream{folder / "assets" / "index-DiwrgTda.js"} << "script";
  std::ofstream{folder / "assets" / "index-DiwrgTda.js.br"} << "script brotli";
  net_rig rig;
  rig.settings.server.static_dir = folder.string();
  rig.start();
  const headers both{{"Accept-Encoding", "gzip, br"}};
  CHECK(rig.get("/rooms", both).body == "page zipped");
  const auto script = rig.get("/assets/index-DiwrgTda.js", both);
  CHECK(script.body == "script brotli");
  CHECK(script.field("cache-control") == "public, max-age=31536000, immutable");
  CHECK(rig.get("/assets/index-DiwrgTda.js.br").status == 404);
  std::filesystem::remove_all(folder);
}
