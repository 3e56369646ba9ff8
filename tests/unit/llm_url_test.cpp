#include "llm/url.hpp"

#include "tests/support/catch.hpp"

using maru::llm::parse_url;

TEST_CASE("a provider's URL has a scheme, a host, perhaps a port and a path") {
  auto u = parse_url("http://127.0.0.1:8000/v1/");
  REQUIRE(u);
  CHECK_FALSE(u->tls);
  CHECK(u->host == "127.0.0.1");
  CHECK(u->port == 8000);
  CHECK(u->path == "/v1");
  CHECK(u->host_header() == "127.0.0.1:8000");
  u = parse_url("HTTPS://api.example.com");
  REQUIRE(u);
  CHECK(u->tls);
  CHECK(u->port == 443);
  CHECK(u->path.empty());
  CHECK(u->host_header() == "api.example.com");
  u = parse_url("http://[::1]:9/x");
  REQUIRE(u);
  CHECK(u->host == "::1");
  CHECK(u->host_header() == "[::1]:9");
}

TEST_CASE("what is no such URL is refused") {
  for (auto bad : {"",
                   "http://",
                   "http:///v1",
                   "ftp://a",
                   "a.example",
                   "http://a:",
                   "http://a:0",
                   "http://a:65536",
                   "http://a:8x",
                   "http://user@a/",
                   "http://a/?q",
                   "http://a/#f",
                   "http://a/b c",
                   "http://a\r\nX: y/",
                   "http://a/v1\r\nX: y",
                   "http://[::1",
                   "http://[zz]/",
                   "http://[::1]x",
                   "http://-a",
                   "http://a b"}) {
    INFO(bad);
    CHECK_FALSE(parse_url(bad));
  }
}
