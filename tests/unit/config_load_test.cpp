#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "config/load.hpp"
#include "tests/support/catch.hpp"

namespace config = maru::config;

namespace {

config::loaded read(std::string_view toml, const std::vector<std::string>& sets = {},
                    const config::environment& env = {}) {
  return config::load_text(toml, "test.toml", env, sets);
}

std::string lines(const config::loaded& l) {
  std::string out;
  for (const auto& p : l.problems)
    out += p.str() + "\n";
  return out;
}

// The only problem there is.
config::problem only(const config::loaded& l) {
  INFO(lines(l));
  REQUIRE(l.problems.size() == 1);
  return l.problems.front();
}

bool contains(const std::string& whole, std::string_view part) {
  return whole.find(part) != std::string::npos;
}

std::string contents(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

constexpr std::string_view whole = R"(
[server]
listen = ["127.0.0.1:9000", "unix:/run/maru.sock"]
data = "/var/lib/maru"
public_url = "https://chat.example.org"
static = "off"
cors_origins = ["https://example.org", "http://localhost:5173"]
[auth]
signup = "invite"
[limits]
connections_per_user = 0
[[provider]]
name = "local"
kind = "openai"
url = "http://127.0.0.1:8000/v1"
api_key = "${KEY}"
recovery = "continue"
[[provider]]
name = "show"
kind = "demo"
[[agent]]
name = "maru"
provider = ["local", "show"]
model = "any-model"
[[agent]]
name = "丸"
model = "other"
)";

} // namespace

TEST_CASE("without a configuration everything has its default", "[config]") {
  const auto got = read("");
  REQUIRE(got);
  CHECK(got.value.server.listen == std::vector<std::string>{"127.0.0.1:8080"});
  CHECK(got.value.server.data == "data");
  CHECK(got.value.limits.questions_waiting_per_user == 100);
  CHECK(got.value.limits.question_expires_seconds == 0);
  CHECK(got.value.providers.empty());
  CHECK(got.value.agents.empty());
}

TEST_CASE("a file is read into settings", "[config]") {
  const auto got = read(whole, {}, {{"KEY", "sk-1"}});
  INFO(lines(got));
  REQUIRE(got);
  const auto& s = got.value;
  CHECK(s.server.listen == std::vector<std::string>{"127.0.0.1:9000", "unix:/run/maru.sock"});
  CHECK(s.server.static_dir == "off");
  CHECK(s.server.cors_origins.size() == 2);
  CHECK(s.auth.signup == config::signup_mode::invite);
  CHECK(s.limits.connections_per_user == 0);
  REQUIRE(s.providers.size() == 2);
  CHECK(s.providers[0].api_key == "sk-1");
  CHECK(s.providers[0].continues);
  CHECK_FALSE(s.providers[1].continues);
  REQUIRE(s.agents.size() == 2);
  CHECK(s.agents[0].providers == std::vector<std::string>{"local", "show"});
}

TEST_CASE("an agent without a provider gets the first one", "[config]") {
  const auto got = read(whole, {}, {{"KEY", ""}});
  REQUIRE(got);
  CHECK(got.value.agents[1].providers == std::vector<std::string>{"local"});
}

TEST_CASE("the environment wins over the file, and --set over both", "[config]") {
  const std::string_view file = "[server]\nthreads = 2\ndrain_ms = 2\n[storage]\nreaders = 2\n";
  const auto got = read(file, {"server.drain_ms=4", "server.drain_ms=5"},
                        {{"MARU_STORAGE_READERS", "3"}, {"MARU_SERVER_DRAIN_MS", "3"}});
  REQUIRE(got);
  CHECK(got.value.server.threads == 2);
  CHECK(got.value.storage.readers == 3);
  CHECK(got.value.server.drain_ms == 5);
}

TEST_CASE("a list outside the file is separated by commas", "[config]") {
  const auto got = read("", {"server.cors_origins="}, {{"MARU_SERVER_LISTEN", "127.0.0.1:1, [::1]:2"}});
  REQUIRE(got);
  CHECK(got.value.server.listen == std::vector<std::string>{"127.0.0.1:1", "[::1]:2"});
  CHECK(got.value.server.cors_origins.empty());
}

TEST_CASE("a provider and an agent can come from the environment alone", "[config]") {
  const auto got = read("", {},
                        {{"MARU_PROVIDER_NAME", "p"},
                         {"MARU_PROVIDER_KIND", "demo"},
                         {"MARU_AGENT_NAME", "maru"},
                         {"MARU_AGENT_PROVIDER", "p"}});
  INFO(lines(got));
  REQUIRE(got);
  CHECK(got.value.providers.at(0).kind == "demo");
  CHECK(got.value.agents.at(0).name == "maru");
}

TEST_CASE("--set reaches a provider by its name, the first one without, and makes one that is missing",
          "[config]") {
  const auto got =
      read(whole, {"provider.show.pool=7", "provider.pool=8", "provider.new.kind=demo"}, {{"KEY", ""}});
  INFO(lines(got));
  REQUIRE(got);
  CHECK(got.value.providers.at(0).pool == 8);
  CHECK(got.value.providers.at(1).pool == 7);
  CHECK(got.value.providers.at(2).name == "new");
}

TEST_CASE("an unknown key is a problem that names the one that was meant", "[config]") {
  CHECK(only(read("[server]\nlisen = \"x\"")).str() ==
        "server.lisen: is not an option; did you mean server.listen?");
  CHECK(only(read("[sever]\nlisten = \"x\"")).str() == "sever: is not an option; did you mean server?");
  CHECK(only(read("", {"limits.conections_per_user=3"})).path == "limits.conections_per_user");
  CHECK(contains(only(read("[[provider]]\nname='p'\nkind='demo'\nurll='x'\n[[agent]]\nname='a'")).str(),
                 "provider.p.urll: is not an option; did you mean provider.p.url?"));
}

TEST_CASE("a value that is not allowed is a problem with its path, itself and what is allowed", "[config]") {
  CHECK(only(read("[storage]\nreaders = 0")).str() ==
        "storage.readers: \"0\" is not allowed; allowed: a whole number from 1 to 64");
  CHECK(only(read("", {"auth.signup=everybody"})).str() ==
        "auth.signup: \"everybody\" is not allowed; allowed: open | invite | closed");
  CHECK(only(read("", {}, {{"MARU_LOG_LEVEL", "loud"}})).path == "MARU_LOG_LEVEL");
}

TEST_CASE("a value of the wrong type is a problem", "[config]") {
  const auto [toml, path] = GENERATE(table<std::string, std::string>({
      {"[storage]\nreaders = \"1\"", "storage.readers"},
      {"[storage]\nreaders = 1.0", "storage.readers"},
      {"[storage]\nreaders = true", "storage.readers"},
      {"[storage]\nreaders = 4294967297", "storage.readers"},
      {"[server]\ndata = 7", "server.data"},
      {"[server]\ndata = [\"a\"]", "server.data"},
      {"[server]\nlisten = [1]", "server.listen"},
      {"[server]\nlisten = []", "server.listen"},
      {"[server.listen]\na = 1", "server.listen"},
      {"server = 1", "server"},
      {"[provider]\nname = \"x\"", "provider"},
      {"agent = [1]", "agent"},
  }));
  CAPTURE(toml);
  CHECK(only(read(toml)).path == path);
}

TEST_CASE("a number outside the file is a number and nothing else", "[config]") {
  for (const std::string text : {"", " ", "1x", "x", "1.5", "0x10", "99999999999999999999", "-1"}) {
    CAPTURE(text);
    CHECK(only(read("", {"storage.readers=" + text})).path == "storage.readers");
  }
}

TEST_CASE("all problems are told, not only the first", "[config]") {
  const auto got =
      read("[server]\nthreads = 257\nx = 1\n[log]\nlevel = 'loud'\n[[agent]]\nname='a'\nprovider='p'",
           {"nonsense", "auth.signup=x"});
  INFO(lines(got));
  CHECK(got.problems.size() == 6);
}

TEST_CASE("a file that is no TOML is a problem with its line", "[config]") {
  CHECK(contains(only(read("[server]\nlisten = ")).path, "test.toml:2:"));
  CHECK(contains(only(read("[server]\ndata='a'\ndata='b'")).path, "test.toml:3:"));
}

TEST_CASE("a variable of the environment stands in for ${NAME}", "[config]") {
  const auto got =
      read("[server]\ndata = \"${A}/x/${B}$${A}$\"", {"server.static=${A}"}, {{"A", "one"}, {"B", "${A}"}});
  INFO(lines(got));
  REQUIRE(got);
  CHECK(got.value.server.data == "one/x/${A}${A}$"); // what a variable holds is not looked at again
  CHECK(got.value.server.static_dir == "one");
}

TEST_CASE("a variable that is not set is a problem that names it", "[config]") {
  CHECK(contains(only(read("[server]\ndata = \"${NOT_THERE}\"")).what, "NOT_THERE"));
  CHECK(contains(only(read("[server]\ndata = \"${NOT_THERE\"")).what, "without its }"));
  CHECK(contains(only(read("[server]\ndata = \"${X}\"", {}, {{"X", "\xff"}})).what, "not UTF-8"));
}

TEST_CASE("no problem repeats a secret", "[config]") {
  const std::string key = "sk-secret key";
  for (const auto& got : {
           read("[[provider]]\nname='p'\nkind='demo'\napi_key='" + key + "'\n[[agent]]\nname='a'"),
           read("[[provider]]\nname='p'\nkind='demo'\napi_key=['" + key + "']\n[[agent]]\nname='a'"),
           read("[[provider]]\nname='p'\nkind='demo'\napi_key='${K}'\n[[agent]]\nname='a'", {}, {{"K", key}}),
           read("[[provider]]\nname='p'\nkind='demo'\n[[agent]]\nname='a'", {"provider.p.api_key=" + key}),
           read("[[provider]]\nname='p'\nkind='demo'\n[[agent]]\nname='a'", {key}),
           read("", {"storage.url=postgresql://maru:sk-secret@host/db"}),
           read("", {"storage.url=${K}"}, {{"K", key}}),
       }) {
    CHECK_FALSE(got);
    CHECK_FALSE(contains(lines(got), "secret"));
  }
}

TEST_CASE("names are given once, whatever their case", "[config]") {
  const auto got = read("[[provider]]\nname='p'\nkind='demo'\n[[provider]]\nname='P'\nkind='demo'\n"
                        "[[agent]]\nname='Maru'\n[[agent]]\nname='maru'\n[[agent]]\n");
  INFO(lines(got));
  REQUIRE(got.problems.size() == 3);
  CHECK(got.problems[0].path == "provider[2].name");
  CHECK(got.problems[1].path == "agent[2].name");
  CHECK(got.problems[2].path == "agent[3].name");
}

TEST_CASE("a name that would not fit into an address or a mention is refused", "[config]") {
  for (const auto* name : {"", "a b", "a/b", "@a", "a,b", "a\\nb"}) {
    CAPTURE(name);
    CHECK(contains(only(read("[[agent]]\nname=\"" + std::string{name} + "\"")).path, "agent[1].name"));
  }
}

TEST_CASE("an agent's provider has to be there, and a model server needs a model", "[config]") {
  CHECK(only(read("[[agent]]\nname='a'\nprovider='p'")).allowed == "none is declared");
  const std::string provider = "[[provider]]\nname='p'\nkind='openai'\nurl='http://h/v1'\n";
  CHECK(only(read(provider + "[[agent]]\nname='a'\nmodel='m'\nprovider='q'")).allowed == "p");
  CHECK(only(read(provider + "[[agent]]\nname='a'")).path == "agent.a.model");
  CHECK(only(read(provider)).path == "agent");
}

TEST_CASE("a provider has a kind, an address it needs, and waits that grow", "[config]") {
  const std::string agent = "[[agent]]\nname='a'\nmodel='m'\n";
  CHECK(only(read(agent + "[[provider]]\nname='p'")).path == "provider.p.kind");
  CHECK(only(read(agent + "[[provider]]\nname='p'\nkind='telepathy'")).path == "provider.p.kind");
  CHECK(only(read(agent + "[[provider]]\nname='p'\nkind='openai'")).path == "provider.p.url");
  CHECK(only(read(agent + "[[provider]]\nname='p'\nkind='openai'\nurl='ftp://x'")).path == "provider.p.url");
  CHECK(only(read(agent + "[[provider]]\nname='p'\nkind='demo'\nbackoff_most_ms=100")).path ==
        "provider.p.backoff_first_ms");
  CHECK(only(read(agent + "[[provider]]\nname='p'\nkind='demo'\nrest_most_ms=100")).path ==
        "provider.p.rest_first_ms");
}

TEST_CASE("intensities are read by subtree, and what rests is not to be taken for stuck", "[config]") {
  const auto good = read("[supervision]\nroot_restarts=3\nrooms_restarts=7\nrooms_period_seconds=60\n");
  CHECK(good.value.supervision.root.restarts == 3);
  CHECK(good.value.supervision.rooms.restarts == 7);
  CHECK(good.value.supervision.rooms.period_seconds == 60);
  CHECK(good.value.supervision.agents.restarts == 100);
  CHECK(only(read("[supervision]\nusers_restarts=0")).path == "supervision.users_restarts");
  CHECK(only(read("[supervision]\nbackoff_first_ms=9000")).path == "supervision.backoff_first_ms");
  CHECK(only(read("[supervision]\nstuck_seconds=5")).path == "supervision.backoff_most_ms");
  CHECK(only(read("[supervision]\nbackoff_most_ms=60000")).path == "supervision.backoff_most_ms");
  CHECK(read("[supervision]\nbackoff_most_ms=60000\nstuck_seconds=0").problems.empty());
}

// These were found at the start only, by an exception.
TEST_CASE("a provider's address that no call could be made to is refused", "[config]") {
  const std::string rest = "[[agent]]\nname='a'\nmodel='m'\n[[provider]]\nname='p'\nkind='openai'\nurl=";
  for (const std::string url : {"http://-h", "http://h:0", "http://h:65536", "http://h:", "http://h/?q=1",
                                "http://h?q", "http://h/#f", "http://h/\\v1", "http://[]/", "http://[::1",
                                "http://[::1]x", "http://[zz]", "http://[1:2]"})
    CHECK(only(read(rest + "'" + url + "'")).path == "provider.p.url");
  CHECK(only(read(rest + "'http://" + std::string(254, 'h') + "'")).path == "provider.p.url");
  for (const std::string url :
       {"http://h", "https://h.example:65535/v1/", "http://[::1]:9", "http://[::ffff:1.2.3.4]/"})
    CHECK(read(rest + "'" + url + "'"));
}

TEST_CASE("an address or an origin that is none is refused", "[config]") {
  CHECK(only(read("", {"server.listen=8080"})).path == "server.listen");
  CHECK(only(read("", {"server.listen=127.0.0.1:1,127.0.0.1:1"})).path == "server.listen");
  CHECK(read("", {"server.listen=127.0.0.1:0,127.0.0.1:0"}));
  for (const std::string origin :
       {"https://example.org/", "example.org", "https://", "https://a:b", "*", "https://u@h", "null",
        "https://Example.org", "https://example.org:443", "http://example.org:80"})
    CHECK(only(read("", {"server.cors_origins=" + origin})).path == "server.cors_origins");
  CHECK(only(read("", {"server.cors_origins=*"})).allowed.find("never *") != std::string::npos);
  CHECK(read("", {"server.cors_origins=https://example.org:8443,http://[::1]:5173,app://localhost"}));
  for (const std::string path : {"maru.sock", "./maru.sock", "", "/"})
    CHECK(only(read("", {"server.listen=unix:" + path})).path == "server.listen");
  const auto too_long = only(read("", {"server.listen=unix:/" + std::string(107, 'a')}));
  CHECK(too_long.path == "server.listen");
  CHECK(too_long.allowed.find("107 bytes") != std::string::npos);
  CHECK(only(read("", {"server.public_url=chat.example.org"})).path == "server.public_url");
}

TEST_CASE("a file that is not there is a problem", "[config]") {
  const config::environment none;
  CHECK(only(config::load("/no/such/file.toml", none, {})).path == "/no/such/file.toml");
  CHECK(only(config::load("/", none, {})).path == "/");
  CHECK(config::load(std::nullopt, none, {}));
}

TEST_CASE("every option has a name in the environment that is read", "[config]") {
  for (const auto& o : config::options()) {
    CAPTURE(o.environment);
    CHECK_FALSE(o.help.empty());
    CHECK_FALSE(o.allowed.empty());
    // No option takes what is not UTF-8.
    const auto problems = read("", {}, {{o.environment, "\xff"}}).problems;
    REQUIRE_FALSE(problems.empty());
    CHECK(problems.front().path == o.environment);
    CHECK_FALSE(contains(problems.front().what, "unknown"));
  }
}

TEST_CASE("a mistyped variable of a section is a problem that names the one that is meant", "[config]") {
  const auto got =
      only(read("", {}, {{"MARU_SERVER_LISTN", "127.0.0.1:1"}, {"MARU_SEED", "1"}, {"MARU", "x"}}));
  CHECK(got.path == "MARU_SERVER_LISTN");
  CHECK(contains(got.what + got.allowed, "MARU_SERVER_LISTEN"));
}

TEST_CASE("the shipped example loads to the defaults", "[config]") {
  const auto got = read(config::example());
  INFO(lines(got));
  REQUIRE(got);
  CHECK(got.value.server.listen == config::settings{}.server.listen);
  CHECK(got.value.providers.empty());
}

TEST_CASE("the example still loads with its provider and agent switched on", "[config]") {
  std::istringstream in{config::example()};
  std::string text;
  for (std::string line; std::getline(in, line);) {
    const bool off = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#';
    text += (off ? line.substr(1) : line) + "\n";
  }
  const auto got = read(text);
  INFO(lines(got));
  REQUIRE(got);
  REQUIRE(got.value.providers.size() == 1);
  CHECK(got.value.providers[0].attempts == config::provider_settings{}.attempts);
  CHECK(got.value.agents.size() == 1);
}

TEST_CASE("the shipped files are in step with the table of options", "[config]") {
  INFO("build the target `texts` to write them anew");
  CHECK(contents(MARU_SOURCE_DIR "/config/maru.example.toml") == config::example());
  CHECK(contents(MARU_SOURCE_DIR "/docs/configuration.md") == config::reference());
}
