#include <string>

#include "config/address.hpp"
#include "tests/support/catch.hpp"

using maru::config::address;
using maru::config::parse_address;

TEST_CASE("an address is a host and a port, or a socket file", "[config][address]") {
  CHECK(parse_address("127.0.0.1:8080") == address{"127.0.0.1", 8080, ""});
  CHECK(parse_address("0.0.0.0:0") == address{"0.0.0.0", 0, ""});
  CHECK(parse_address("localhost:65535") == address{"localhost", 65535, ""});
  CHECK(parse_address("[::1]:80") == address{"::1", 80, ""});
  CHECK(parse_address("[::]:80") == address{"::", 80, ""});
  CHECK(parse_address("unix:/run/maru.sock") == address{"", 0, "/run/maru.sock"});
  CHECK(parse_address("unix:/run/maru.sock")->local_socket());
}

TEST_CASE("what is no address is refused", "[config][address]") {
  for (const auto* text : {"",
                           ":",
                           "8080",
                           ":8080",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:x",
                           "127.0.0.1:-1",
                           "127.0.0.1:65536",
                           "127.0.0.1:80 ",
                           "127.0.0.256:80",
                           "::1:80",
                           "[::1]",
                           "[::1]80",
                           "[127.0.0.1]:80",
                           "[]:80",
                           "[::g]:80",
                           "example.org:80",
                           "unix:",
                           "unix:/",
                           "unix:maru.sock",
                           "http://127.0.0.1:80"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_address(text));
  }
}

TEST_CASE("the path of a socket file is as long as the kernel takes it", "[config][address]") {
  CHECK(parse_address("unix:/" + std::string(106, 'a')));
  CHECK_FALSE(parse_address("unix:/" + std::string(107, 'a')));
}
