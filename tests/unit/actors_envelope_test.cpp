#include "actors/envelope.hpp"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "tests/support/catch.hpp"

using namespace maru;
using namespace maru::actors;

namespace {

constexpr std::string_view kind = "post_message";

// Answers with what it was sent, or with why it cannot be read.
using peer_actor = caf::typed_actor<caf::replies_to<envelope>::with<envelope>>;

peer_actor::behavior_type peer(peer_actor::pointer, int) {
  return {[](const envelope& e) {
    const auto what = unpack<post_message>(e, kind);
    if (what) return pack(std::string{kind}, *what);
    command_done refused;
    refused.why = what.error();
    return pack("command_done", refused);
  }};
}

struct node_config : caf::actor_system_config {
  node_config() {
    set("logger.file-verbosity", caf::atom("quiet"));
    set("logger.console-verbosity", caf::atom("quiet"));
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::size_t{1});
    set("middleman.workers", std::size_t{0});
    set("middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
    set("middleman.connection-timeout", caf::timespan{std::chrono::seconds{20}});
    load<caf::io::middleman>();
    add_envelope_type(*this);
  }
};

// Publishes a peer and tells its port; ends when the pipe from the test is closed.
[[noreturn]] void be_peer(int port_to, int until_closed) {
  {
    node_config cfg;
    caf::actor_system system{cfg};
    auto handle = system.spawn(peer, 0);
    const auto port = system.middleman().publish(handle, 0, "127.0.0.1");
    const std::uint16_t told = port ? *port : 0;
    if (::write(port_to, &told, sizeof told) != sizeof told) ::_exit(1);
    char ignored = 0;
    while (::read(until_closed, &ignored, 1) > 0) {
    }
  }
  ::_exit(0);
}

// Another process. It is forked before this one starts any thread of CAF's.
class other_node {
public:
  other_node() {
    std::array<int, 2> port{}, life{};
    REQUIRE(::pipe(port.data()) == 0);
    REQUIRE(::pipe(life.data()) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::close(port[0]);
      ::close(life[1]);
      be_peer(port[1], life[0]);
    }
    ::close(port[1]);
    ::close(life[0]);
    life_ = life[1];
    const auto got = ::read(port[0], &port_, sizeof port_);
    ::close(port[0]);
    REQUIRE(got == sizeof port_);
    REQUIRE(port_ != 0);
  }
  other_node(const other_node&) = delete;
  other_node& operator=(const other_node&) = delete;
  ~other_node() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(life_);
    pid_ = -1;
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

private:
  pid_t pid_ = -1;
  int life_ = -1;
  std::uint16_t port_ = 0;
};

post_message make_example() {
  post_message out;
  out.id = "A0";
  out.key = uuid::v7(1);
  out.text = std::string{"Grüße\n"} + std::string(100'000, 'x');
  out.ask_room = false;
  out.agents = {"maru", "other"};
  out.parent_is = parent_rule::given;
  out.parent = uuid::v7(2);
  return out;
}

const post_message& example() {
  static const post_message one = make_example();
  return one;
}

void check_same(const post_message& a, const post_message& b) {
  CHECK(a.id == b.id);
  CHECK(a.key == b.key);
  CHECK(a.text == b.text);
  CHECK(a.ask_room == b.ask_room);
  CHECK(a.agents == b.agents);
  CHECK(a.parent_is == b.parent_is);
  CHECK(a.parent == b.parent);
}

} // namespace

TEST_CASE("what is packed can be unpacked, and nothing else") {
  const auto packed = pack(std::string{kind}, example());
  const auto back = unpack<post_message>(packed, kind);
  REQUIRE(back);
  check_same(*back, example());

  CHECK_FALSE(unpack<post_message>(packed, "stop_answer"));
  auto newer = packed;
  newer.version = envelope_version + 1;
  CHECK_FALSE(unpack<post_message>(newer, kind));
  auto longer = packed;
  longer.bytes += 'x';
  CHECK_FALSE(unpack<post_message>(longer, kind));
}

TEST_CASE("an envelope cut anywhere is refused") {
  auto small = example();
  small.text = "text";
  const auto packed = pack(std::string{kind}, small);
  for (std::size_t n = 0; n < packed.bytes.size(); ++n) {
    auto cut = packed;
    cut.bytes.resize(n);
    CHECK_FALSE(unpack<post_message>(cut, kind));
  }
}

TEST_CASE("typed handles and the envelope work between two processes") {
  other_node other;
  node_config cfg;
  caf::actor_system system{cfg};
  const auto remote = system.middleman().remote_actor<peer_actor>("127.0.0.1", other.port());
  REQUIRE(remote);
  caf::scoped_actor self{system};
  const auto send = [&](const envelope& e) {
    envelope out;
    self->request(*remote, std::chrono::seconds{20}, e)
        .receive([&](const envelope& reply) { out = reply; },
                 [&](const caf::error& why) { FAIL(system.render(why)); });
    return out;
  };

  auto newer = pack(std::string{kind}, example());
  newer.version = envelope_version + 1;
  const auto refused = unpack<command_done>(send(newer), "command_done");
  REQUIRE(refused);
  CHECK(refused->why.why == code::unknown_type);
  CHECK(unpack<command_done>(send(pack("of_the_future", example())), "command_done"));

  const auto back = unpack<post_message>(send(pack(std::string{kind}, example())), kind);
  REQUIRE(back);
  check_same(*back, example());

  self->monitor(*remote);
  other.kill();
  bool down = false;
  self->receive([&](const caf::down_msg& msg) { down = msg.source == remote->address(); },
                caf::after(std::chrono::seconds{20}) >> [] {});
  CHECK(down);
}
