// How the real server is reached: socket files, its own browser client, pages of other origins.

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>

#include "tests/support/event_reader.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

struct ran {
  int status = 0;
  std::string text; // of both outputs
};

ran run(const std::string& words) {
  ran out;
  FILE* from = ::popen((std::string{MARU_BINARY} + " " + words + " 2>&1").c_str(), "r");
  REQUIRE(from != nullptr);
  std::array<char, 4096> chunk;
  for (auto n = ::fread(chunk.data(), 1, chunk.size(), from); n > 0;
       n = ::fread(chunk.data(), 1, chunk.size(), from))
    out.text.append(chunk.data(), n);
  const int ended = ::pclose(from);
  out.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  return out;
}

server_options on_socket_file() {
  server_options out;
  out.on_socket_file = true;
  return out;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// What the page refers to.
std::vector<std::string> references(const std::string& page) {
  std::vector<std::string> out;
  const std::string start = "\"/assets/";
  for (auto at = page.find(start); at != std::string::npos; at = page.find(start, at + 1))
    out.push_back(page.substr(at + 1, page.find('"', at + 1) - at - 1));
  return out;
}

} // namespace

TEST_CASE("everything goes through a socket file alone: people, sockets, streams and maru tree") {
  house h(MARU_BINARY, test::answers(5, 1), on_socket_file());
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  CHECK(ended(*c, c->send(room, "a question"))["kind"] == "answer");
  event_reader stream(h.address(), stream_path(room, "after=0"), {bearer(ann.access_token)});
  CHECK(stream.next());
  const auto tree = run("tree --set server.data=" + h.server.data().string());
  CHECK(tree.status == 0);
  CHECK(has(tree.text, "rooms"));
  const auto file = h.server.directory() / "maru.sock";
  stream.link().cut();
  c->disconnect();
  CHECK(h.server.terminate() == 0);
  CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("a socket file that a killed server left is replaced, and one in use is not") {
  house h(MARU_BINARY, test::answers(5, 1), on_socket_file());
  h.person("ann");
  h.server.kill();
  REQUIRE(std::filesystem::exists(h.server.directory() / "maru.sock"));
  h.server.start();
  server_options other;
  other.set = {"server.listen=" + h.address()};
  server_process second(MARU_BINARY, other);
  second.begin_start();
  CHECK(second.wait_end() == 1);
  CHECK(has(second.log(), "another process listens there"));
  CHECK(http_request(h.address(), "GET", "/healthz").status == 200);
}

TEST_CASE("config check refuses what serve would refuse of this machine") {
  const std::string check = "config check --set ";
  for (const std::string bad :
       {"server.listen=unix:/no/such/folder/maru.sock", "server.listen=unix:/etc/passwd",
        "server.listen=unix:relative.sock", "server.static=/no/such/folder", "server.static=/etc",
        "server.cors_origins=*", "server.cors_origins=https://example.org/"}) {
    CAPTURE(bad);
    const auto checked = run(check + "'" + bad + "'");
    CHECK(checked.status == 2);
    CHECK(has(checked.text, bad.substr(0, bad.find('='))));
    CHECK(run("serve --set '" + bad + "'").status == 2);
  }
  const auto long_path = run(check + "server.listen=unix:/tmp/" + std::string(120, 'x'));
  CHECK(long_path.status == 2);
  CHECK(has(long_path.text, "107 bytes"));
  CHECK(run(check + "server.listen=unix:/tmp/maru-not-there.sock").status == 0);
}

TEST_CASE("the built-in client is compressed, and kept by browsers but for its page") {
  house h(MARU_BINARY);
  const headers gzip{{"Accept-Encoding", "gzip, deflate, br"}};
  const auto page = http_request(h.address(), "GET", "/");
  CHECK(page.field("cache-control") == "no-cache");
  CHECK(http_request(h.address(), "GET", "/", gzip).field("content-encoding") == "gzip");
  const auto files = references(page.body);
  CHECK(files.size() >= 3);
  for (const auto& path : files) {
    CAPTURE(path);
    const auto plain = http_request(h.address(), "GET", path),
               small = http_request(h.address(), "GET", path, gzip);
    CHECK(plain.status == 200);
    CHECK(plain.field("cache-control") == "public, max-age=31536000, immutable");
    CHECK(small.field("content-encoding") == "gzip");
    CHECK(small.body.size() < plain.body.size());
    CHECK(small.body.substr(0, 2) == "\x1f\x8b");
    CHECK(http_request(h.address(), "GET", path, {{"If-None-Match", plain.field("etag")}}).status == 304);
  }
  // A module's own imports are relative: they stay in the folder.
  const auto folder = files.front().substr(0, files.front().rfind('/') + 1);
  CHECK(http_request(h.address(), "GET", folder + "client.js").status == 200);
  CHECK(http_request(h.address(), "GET", "/assets/0000000000000000/client.js").status == 404);
}

TEST_CASE("a page of a listed origin may use the API, and no other may") {
  server_options options;
  options.set = {"server.cors_origins=https://app.example"};
  house h(MARU_BINARY, test::answers(5, 1), options);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  for (const auto& [origin, fine] :
       {std::pair{"https://app.example", true}, std::pair{"https://evil.example", false}}) {
    CAPTURE(origin);
    const auto first = http_request(h.address(), "OPTIONS", "/api/v1/rooms/" + room,
                                    {{"Origin", origin}, {"Access-Control-Request-Method", "GET"}});
    CHECK((first.status == 204) == fine);
    for (const auto& path : {"/api/v1/rooms/" + room, std::string{"/api/v1/rooms/none"}}) {
      const auto got = http_request(h.address(), "GET", path, {{"Origin", origin}, bearer(ann.access_token)});
      CHECK(got.field("access-control-allow-origin") == (fine ? origin : ""));
      CHECK(has(got.field("vary"), "Origin"));
    }
    event_reader stream(h.address(), stream_path(room), {{"Origin", origin}, bearer(ann.access_token)});
    CHECK(stream.reply().field("access-control-allow-origin") == (fine ? origin : ""));
  }
}

TEST_CASE("another site's page can use no cookie of a browser that is signed in") {
  house h(MARU_BINARY);
  h.person("ann");
  const std::string somebody = R"({"username":"ann","password":"a password of ann"})";
  const auto own = "http://" + h.address();
  const auto login =
      http_request(h.address(), "POST", "/api/v1/login", {{"Host", h.address()}, {"Origin", own}}, somebody);
  const auto set = login.field("set-cookie");
  REQUIRE(has(set, "maru_refresh="));
  const auto cookie = set.substr(0, set.find(';'));
  const auto refresh = [&](const std::string& origin) {
    return http_request(h.address(), "POST", "/api/v1/refresh",
                        {{"Host", h.address()}, {"Origin", origin}, {"Cookie", cookie}})
        .status;
  };
  CHECK(refresh("https://evil.example") == 403);
  CHECK(refresh(own) == 200); // not used up by the refusal
}

} // namespace maru::tests
