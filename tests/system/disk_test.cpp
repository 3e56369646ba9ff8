// A disk that fills up under the server, and has room again.

#include <fstream>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

// A file system of its own in memory, that a test can fill. Needs the right to mount.
class small_disk {
public:
  small_disk() {
    auto name = (std::filesystem::temp_directory_path() / "maru-disk-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return;
    where_ = name;
    mounted_ = ::mount("tmpfs", name.c_str(), "tmpfs", 0, "size=8m") == 0;
  }
  ~small_disk() {
    if (mounted_) ::umount2(where_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove(where_, ignored);
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] std::filesystem::path data() const { return where_ / "data"; }

  void fill() {
    const int fd = ::open((where_ / "ballast").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    const std::string block(4096, 'x');
    while (::write(fd, block.data(), block.size()) > 0) {
    }
    ::close(fd);
  }
  void make_room() { std::filesystem::remove(where_ / "ballast"); }

private:
  std::filesystem::path where_;
  bool mounted_ = false;
};

const json nobody{{"agents", json::array()}};

} // namespace

TEST_CASE("a full disk refuses writes, reads go on, and with room again everything does") {
  small_disk disk;
  if (!disk.mounted()) {
    WARN("not tested: no right to mount a small disk here");
    return;
  }
  server_options options;
  options.data = disk.data();
  house h(MARU_BINARY, test::answers(50, 10), options);
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  const auto c = h.device(ann, room);
  c->expect(test::expected_answer);
  const auto question = c->send(room, "a question that outlasts the disk");
  acked(*c, question);

  disk.fill();
  const std::string text(20'000, 'x');
  std::size_t sent = 0;
  while (c->errors().empty() && ++sent < 1000) {
    c->send(room, text, nobody);
    REQUIRE(c->wait([&] { return c->unacked() == 0 || !c->errors().empty(); }));
  }
  REQUIRE_FALSE(c->errors().empty());
  CHECK(c->errors().front()["code"] == "storage_unavailable");
  CHECK(c->errors().front()["retry_after_ms"] > 0);
  const auto refused = h.post(ann, "/api/v1/rooms", {{"title", text.substr(0, 200)}});
  CHECK(refused.status == 503);
  CHECK(refused.code() == "storage_unavailable");
  CHECK(refused.raw.has("retry-after"));
  const auto told = http_request(h.address(), "GET", "/readyz");
  CHECK(told.status == 200);
  CHECK(json::parse(told.body)["status"] == "degraded");
  CHECK(all_events(h.address(), ann, room).size() >= sent);

  CHECK(h.server.log().find("the disk takes no writes") != std::string::npos);
  disk.make_room();
  for (int tries = 0; c->unacked() > 0 && tries < 1000; ++tries) {
    const auto errors = c->errors().size();
    for (const auto& [id, what] : c->commands())
      if (!what.ack) c->resend(id);
    REQUIRE(c->wait([&] { return c->unacked() == 0 || c->errors().size() > errors; }));
  }
  CHECK(c->unacked() == 0);
  const auto& end = ended(*c, question);
  CHECK(end["data"]["text"] == test::expected_answer("a question that outlasts the disk", 50));
  CHECK(json::parse(http_request(h.address(), "GET", "/readyz").body)["status"] == "ready");
  h.server.kill();
  h.server.start();
  const auto kept = all_events(h.address(), ann, room);
  CHECK(kept.size() == c->room(room).events.size());
  CHECK(kept.size() == sent + 2);
  CHECK(c->wrong() == "");
}

} // namespace maru::tests
