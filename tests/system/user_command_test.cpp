// `maru user …`: with a server, without one, and what strangers may try.

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/common.hpp"
#include "config/limits.hpp"
#include "storage/store.hpp"
#include "tests/support/command.hpp"
#include "tests/support/house.hpp"

namespace maru::tests {
namespace {

const std::string users_path = "/api/v1/admin/users";
const std::string nobody = "01890a5d-ac96-774b-bcce-b302099a8057";

// A data directory, and the commands on it.
struct place {
  explicit place(std::filesystem::path at) : data(std::move(at)) {}
  place() {
    auto name = (std::filesystem::temp_directory_path() / "maru-users-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    mine = name;
    data = mine / "data";
  }
  ~place() {
    std::error_code ignored;
    if (!mine.empty()) std::filesystem::remove_all(mine, ignored);
  }
  place(const place&) = delete;
  place& operator=(const place&) = delete;

  [[nodiscard]] std::vector<std::string> words(std::vector<std::string> order) const {
    order.insert(order.begin(), {MARU_BINARY, "user"});
    // Before a --, behind which all are names.
    order.insert(order.begin() + 3, {"--set", "server.data=" + data.string(), "--set",
                                     "auth.argon2_memory_kib=1024", "--set", "auth.argon2_passes=1"});
    return order;
  }
  [[nodiscard]] ran user(std::vector<std::string> order, const std::string& input = "") const {
    return run(words(std::move(order)), input);
  }
  [[nodiscard]] json list() const {
    const auto how = user({"list", "--json"});
    CAPTURE(how.err);
    REQUIRE(how.status == 0);
    return json::parse(how.out);
  }
  [[nodiscard]] std::filesystem::path file(const std::string& name) const { return data / name; }

  std::filesystem::path mine, data;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

account login(const std::string& address, const std::string& name, const std::string& password) {
  const auto in = api(address, "", "POST", "/api/v1/login", {{"username", name}, {"password", password}});
  if (in.status != 200) return {};
  return {name, in.body["user"]["id"], in.body["access_token"], in.body["refresh_token"]};
}

server_options on(const place& where, std::vector<std::string> set = {}) {
  server_options out;
  out.data = where.data;
  out.set = std::move(set);
  return out;
}

// Holds the lock of the database, as a process does that has it open.
class held_lock {
public:
  explicit held_lock(const std::filesystem::path& file)
      : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    REQUIRE(::flock(fd_, LOCK_EX | LOCK_NB) == 0);
    const auto id = std::to_string(::getpid());
    REQUIRE(::ftruncate(fd_, 0) == 0); // the id before may have been longer
    REQUIRE(::pwrite(fd_, id.data(), id.size(), 0) > 0);
  }
  ~held_lock() { ::close(fd_); }
  held_lock(const held_lock&) = delete;
  held_lock& operator=(const held_lock&) = delete;

private:
  const int fd_;
};

// Listens where a server was, and notes whether anybody comes.
class tcp_trap {
public:
  explicit tcp_trap(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd_, 5) == 0);
  }
  ~tcp_trap() { ::close(fd_); }
  tcp_trap(const tcp_trap&) = delete;
  tcp_trap& operator=(const tcp_trap&) = delete;
  [[nodiscard]] bool was_asked() const {
    pollfd what{fd_, POLLIN, 0};
    return ::poll(&what, 1, 0) != 0;
  }

private:
  const int fd_;
};

} // namespace

TEST_CASE("before the first start the operator makes the first admin, and the server knows them") {
  const place here;
  const auto made = here.user({"add", "Ann", "--display-name", "Ann Lee"}, "correct horse\n");
  CAPTURE(made.out, made.err);
  CHECK(made.status == 0);
  CHECK(made.out == "Added Ann, role admin: the first user of a server is its admin.\n");
  CHECK((std::filesystem::status(here.data).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
  CHECK(here.user({"add", "Bob", "--role", "user"}, "battery staple").status == 0);
  house h(MARU_BINARY, test::answers(5, 1), on(here));
  const auto ann = login(h.address(), "ann", "correct horse");
  CHECK(h.get(ann, "/api/v1/me").body["role"] == "admin");
  CHECK(h.get(ann, "/api/v1/me").body["display_name"] == "Ann Lee");
  CHECK(h.get(login(h.address(), "bob", "battery staple"), "/api/v1/me").body["role"] == "user");
}

TEST_CASE("each user command does the same with a server and without one") {
  const bool with_server = GENERATE(true, false);
  CAPTURE(with_server);
  place here;
  std::unique_ptr<house> h;
  if (with_server) h = std::make_unique<house>(MARU_BINARY, test::answers(5, 1), on(here));

  CHECK(here.user({"add", "ann", "--role", "admin"}, "correct horse\n").status == 0);
  CHECK(here.user({"add", "bob"}, "correct horse\n").out == "Added bob, role user.\n");
  const auto taken = here.user({"add", "BOB"}, "correct horse\n");
  CHECK(taken.status == 1);
  CHECK(has(taken.err, "this username is taken"));

  auto listed = here.user({"list"});
  CHECK(listed.status == 0);
  CHECK(has(listed.out, "admin  "));
  CHECK(has(listed.out, "  bob\n"));
  CHECK(here.list().size() == 2);
  CHECK(here.list()[1]["username"] == "bob");

  const auto last = here.user({"role", "ann", "user"});
  CHECK(last.status == 1);
  CHECK(has(last.err, "this is the last admin; make another user one first"));
  CHECK(here.user({"role", "Bob", "admin"}).out == "bob has the role admin now.\n");
  CHECK(here.user({"role", "ann", "user"}).out ==
        "ann has the role user now, and is signed out everywhere.\n");
  CHECK(here.list()[0]["role"] == "user");

  const auto set = here.user({"password", "ann", "--generate"});
  CHECK(set.status == 0);
  REQUIRE(has(set.out, "Password: "));
  const auto password = set.out.substr(set.out.find("Password: ") + 10, limits::generated_password_chars);
  CHECK_FALSE(has(set.err, password));
  if (!h) h = std::make_unique<house>(MARU_BINARY, test::answers(5, 1), on(here));
  CHECK_FALSE(login(h->address(), "ann", password).id.empty());
  CHECK(login(h->address(), "ann", "correct horse").id.empty());
}

TEST_CASE("what cannot be done is said with what to do, and ends with status 1") {
  place here;
  CHECK(has(here.user({"list"}).err, "there is no server and no database at "));
  CHECK(here.user({"list"}).status == 1);
  CHECK(here.user({"password", "ann", "--generate"}).status == 1);
  CHECK_FALSE(std::filesystem::exists(here.data)); // nor is one made

  const auto nothing = here.user({"add", "ann"});
  CHECK(nothing.status == 1);
  CHECK(has(nothing.err, "--generate"));
  CHECK(has(here.user({"add", "ann"}, "\n").err, "no password on standard input"));
  CHECK(has(here.user({"add", "ann"}, "short\n").err, "fewer than 8 characters"));
  CHECK(here.user({"add", "ann"}, std::string(100'000, 'x')).status == 1);
  CHECK(here.user({"add", "ann"}, std::string("nul\0in the middle\n", 18)).status == 1);
  REQUIRE(here.user({"add", "ann"}, "correct horse").status == 0);
  const auto unknown = here.user({"role", "bob", "admin"});
  CHECK(unknown.status == 1);
  CHECK(has(unknown.err, "there is no user 'bob'; `maru user list` shows who there is"));

  if (::geteuid() == 0) return; // may read all
  std::filesystem::permissions(here.data, std::filesystem::perms::none);
  const auto closed = here.user({"list"});
  std::filesystem::permissions(here.data, std::filesystem::perms::owner_all);
  CHECK(closed.status == 1);
  CHECK(has(closed.err, "run this as the user that the server runs as"));
}

TEST_CASE("wrong usage of the user commands ends with status 2 and touches nothing") {
  const place here;
  using order = std::vector<std::string>;
  for (const auto& wrong :
       {order{"add"}, order{"add", "ann", "--role", "root"}, order{"add", "ann", "--password", "secret"},
        order{"add", "ann", "bob"}, order{"role", "ann"}, order{"role", "ann", "root"}, order{"password"},
        order{"list", "ann"}, order{"remove", "ann"}, order{"add", "ann", "--set", "no.such=1"}}) {
    CAPTURE(wrong);
    const auto how = here.user(wrong, "correct horse\n");
    CHECK(how.status == 2);
    CHECK_FALSE(how.err.empty());
  }
  CHECK(run({MARU_BINARY, "user"}).status == 2);
  CHECK_FALSE(std::filesystem::exists(here.data));
}

TEST_CASE("on a terminal the password is asked twice and not shown") {
  const place here;
  const auto ask = [&](const std::string& second) {
    return run_on_terminal(here.words({"add", "ann"}),
                           {{"New password: ", "correct horse\n"}, {"The same again: ", second + "\n"}});
  };
  const auto differs = ask("correct house");
  CHECK(differs.status == 1);
  CHECK(has(differs.out, "the two are not the same; nothing was done"));
  CHECK_FALSE(std::filesystem::exists(here.data));
  const auto made = ask("correct horse");
  CAPTURE(made.out);
  CHECK(made.status == 0);
  CHECK(has(made.out, "Added ann"));
  CHECK_FALSE(has(made.out, "correct"));
  CHECK(run_on_terminal(here.words({"add", "bob"}), {{"New password: ", "\x03"}}).status == -1);
  CHECK(here.list().size() == 1);
}

TEST_CASE("hostile names are refused, or kept as they are and found again") {
  place here;
  std::unique_ptr<house> h;
  if (GENERATE(true, false)) h = std::make_unique<house>(MARU_BINARY, test::answers(5, 1), on(here));
  const std::vector<std::string> good{"admin",
                                      "../../etc/passwd",
                                      "a&limit=1#x",
                                      "'; DROP TABLE accounts;--",
                                      "%00",
                                      "-x",
                                      "<b>",
                                      "{\"role\":\"admin\"}",
                                      "\xF0\x9F\x90\xB4",
                                      "J\xC3\xBCrgen Stra\xC3\x9F"
                                      "e",
                                      "a b"};
  for (const auto& name : good) {
    CAPTURE(name);
    CHECK(here.user({"add", "--generate", "--", name}).status == 0);
    CHECK(here.user({"role", "--", name, "admin"}).status == 0);
  }
  const auto all = here.list();
  REQUIRE(all.size() == good.size());
  for (std::size_t i = 0; i < good.size(); ++i)
    CHECK(all[i]["username"] == good[i]);
  for (const std::string& name :
       {std::string{""}, std::string{"a\nb"}, std::string{"\x1B[2J"}, std::string{"\xFF\xFE"},
        std::string(65, 'a'), std::string(100'000, 'a'), std::string{"a\xE2\x80\xAE"}}) {
    CAPTURE(name.size());
    CHECK(here.user({"add", "--generate", "--", name}).status == 1);
    CHECK(here.user({"role", "--", name, "admin"}).status == 1);
    CHECK(here.user({"password", "--generate", "--", name}).status == 1);
  }
  CHECK(here.user({"add", "--generate", "--display-name", "a\x1B[2J", "ok"}).status == 1);
  CHECK(here.list().size() == good.size());
}

TEST_CASE("a new password and a lost role close live connections, and the log says who did what") {
  house h(MARU_BINARY);
  const place here(h.server.data());
  const auto ann = h.person("ann");
  const auto bob = h.person("bob");
  const auto open = h.device(bob);
  CHECK(here.user({"password", "bob"}, "battery staple\n").status == 0);
  CHECK(open->wait_closed() == 4401);
  CHECK(h.get(bob, "/api/v1/me").status == 401);
  REQUIRE(here.user({"role", "bob", "admin"}).status == 0);
  const auto again = login(h.address(), "bob", "battery staple");
  const auto open_again = h.device(again);
  CHECK(api(h.address(), ann.access_token, "PATCH", users_path + "/" + bob.id, {{"role", "user"}}).status ==
        200);
  CHECK(open_again->wait_closed() == 4401);
  CHECK(h.get(ann, "/api/v1/me").status == 200);

  REQUIRE(h.server.terminate() == 0);
  const auto log = h.server.log();
  CHECK(has(log, "the operator changed 'bob' (" + bob.id + "): with a new password"));
  CHECK(has(log, "the operator changed 'bob' (" + bob.id + "): role=admin"));
  CHECK(has(log, "the admin 'ann' (" + ann.id + ") changed 'bob' (" + bob.id + "): role=user"));
  CHECK_FALSE(has(log, "battery"));
}

TEST_CASE("the admin API is for admins alone") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto bob = h.person("bob");
  const json eve{{"username", "eve"}, {"password", "correct horse"}, {"role", "admin"}};
  for (const auto& token : {std::string{}, std::string{"nonsense"}, bob.access_token}) {
    const int refused = token == bob.access_token ? 403 : 401;
    CHECK(api(h.address(), token, "GET", "/api/v1/admin/tree").status == refused);
    CHECK(api(h.address(), token, "GET", users_path).status == refused);
    CHECK(api(h.address(), token, "POST", users_path, eve).status == refused);
    CHECK(api(h.address(), token, "PATCH", users_path + "/" + bob.id, {{"role", "admin"}}).status == refused);
  }
  CHECK(h.get(ann, "/api/v1/admin/tree").status == 200);
  CHECK(h.get(ann, users_path).body["users"].size() == 2);
  CHECK_FALSE(h.get(ann, users_path).body["users"][0].contains("settings"));
  const auto made = h.post(ann, users_path, eve);
  CHECK(made.status == 201);
  CHECK(made.body["role"] == "admin");
  CHECK(h.post(ann, users_path, eve).code() == "conflict");
  CHECK(h.get(ann, users_path + "?username=EVE").body["users"][0]["id"] == made.body["id"]);
  const auto change = [&](const std::string& who, const json& to) {
    return api(h.address(), ann.access_token, "PATCH", users_path + "/" + who, to);
  };
  CHECK(change(nobody, {{"role", "user"}}).status == 404);
  CHECK(change(bob.id, {{"role", "root"}}).code() == "invalid_field");
  CHECK(change(bob.id, {{"role", 7}}).code() == "invalid_field");
  CHECK(change(bob.id, {{"new_password", "short"}}).code() == "invalid_field");
  CHECK(change(bob.id, {{"display_name", "Bobby"}}).body["display_name"] == "Bobby");
  CHECK(h.get(bob, "/api/v1/me").body["display_name"] == "Bobby");
}

TEST_CASE("two admins who demote each other at once leave one") {
  house h(MARU_BINARY);
  const auto ann = h.person("ann");
  const auto bob = h.person("bob");
  for (int round = 0; round < 10; ++round) {
    const place here(h.server.data());
    for (const auto* name : {"ann", "bob"})
      REQUIRE(here.user({"role", name, "admin"}).status == 0);
    const auto one = login(h.address(), "ann", "a password of ann"),
               other = login(h.address(), "bob", "a password of bob");
    int first = 0, second = 0;
    std::thread there([&] {
      first =
          api(h.address(), one.access_token, "PATCH", users_path + "/" + bob.id, {{"role", "user"}}).status;
    });
    second =
        api(h.address(), other.access_token, "PATCH", users_path + "/" + ann.id, {{"role", "user"}}).status;
    there.join();
    CAPTURE(first, second);
    CHECK((first == 200) != (second == 200));
    int admins = 0;
    for (const auto& user : here.list())
      admins += user["role"] == "admin" ? 1 : 0;
    CHECK(admins == 1);
  }
}

TEST_CASE("where sign-up is closed, the operator lets people in") {
  place here;
  house h(MARU_BINARY, test::answers(5, 1), on(here, {"auth.signup=closed"}));
  const json eve{{"username", "eve"}, {"password", "correct horse"}};
  CHECK(api(h.address(), "", "POST", "/api/v1/signup", eve).status == 403);
  CHECK(here.user({"add", "eve"}, "correct horse\n").status == 0);
  CHECK_FALSE(login(h.address(), "eve", "correct horse").id.empty());
}

TEST_CASE("a server that listens on a socket file alone takes the user commands, too") {
  server_options options;
  options.on_socket_file = true;
  house h(MARU_BINARY, test::answers(5, 1), options);
  const place here(h.server.data());
  CHECK(here.user({"add", "ann"}, "correct horse\n").status == 0);
  CHECK(here.list().size() == 1);
  CHECK_FALSE(login(h.address(), "ann", "correct horse").id.empty());
  CHECK(has(h.server.log(), "the operator added 'ann'"));
}

TEST_CASE("what a killed server has left is not believed: the command works on the data, and tells nobody") {
  house h(MARU_BINARY);
  const place here(h.server.data());
  h.person("ann");
  h.server.kill();
  REQUIRE(std::filesystem::exists(here.file("maru.control")));
  {
    const tcp_trap stranger(h.address()); // has its address by now
    CHECK(here.user({"password", "ann"}, "battery staple\n").status == 0);
    CHECK_FALSE(stranger.was_asked());
  }
  h.server.start();
  CHECK_FALSE(login(h.address(), "ann", "battery staple").id.empty());
}

TEST_CASE("a database that another process has open, without taking commands, is a clear error") {
  const place here;
  REQUIRE(here.user({"add", "ann"}, "correct horse\n").status == 0);
  const held_lock starting(here.file("maru.db.lock"));
  const auto how = here.user({"list"});
  CHECK(how.status == 1);
  const auto me = std::to_string(::getpid());
  CHECK(has(how.err, "(" + me + "): a server that is starting, or another command"));
  std::ofstream(here.file("maru.control")) << R"({"address":"127.0.0.1:1","token":"x","pid":1})";
  CHECK(has(here.user({"list"}).err, "takes no commands"));
  std::ofstream(here.file("maru.control"))
      << R"({"address":"127.0.0.1:1","token":"x","pid":)" << ::getpid() << "}";
  CHECK(has(here.user({"list"}).err, "does not answer; whether this was done is not known"));
  std::ofstream(here.file("maru.control")) << "[1";
  CHECK(has(here.user({"list"}).err, "takes no commands"));
}

TEST_CASE("a command on the data moves nothing in the mailboxes") {
  house h(MARU_BINARY, test::answers(1000, 1000));
  const place here(h.server.data());
  const auto ann = h.person("ann");
  const auto room = h.room(ann);
  CHECK(h.post(ann, "/api/v1/rooms/" + room + "/messages", {{"id", nobody}, {"text", "Why?"}}).status == 202);
  h.server.kill();
  const auto entries = [&] {
    storage::open_options options;
    options.url = "sqlite:" + here.file("maru.db").string();
    options.threads = storage::threading::manual;
    const auto db = storage::open(std::move(options));
    std::string out;
    db->read(
        [&](storage::reader& from) {
          const auto mailbox = actors::mailbox_of(*uuid::parse(room), "maru");
          for (const auto& e : from.entries(mailbox, 10))
            out += e.id.str() + " " + std::to_string(e.seq) + " " + std::to_string(e.visible_at) + " " +
                   std::to_string(e.failures) + " " + std::to_string(e.losses) + " " + e.body + "\n";
        },
        {});
    storage::pump(*db);
    return out;
  };
  const auto before = entries();
  REQUIRE_FALSE(before.empty());
  CHECK(here.user({"add", "bob"}, "correct horse\n").status == 0);
  CHECK(here.user({"list"}).status == 0);
  CHECK(entries() == before);
}

TEST_CASE("ten thousand users are listed page by page, with a server and without one") {
  constexpr std::size_t count = 10'000;
  const place here;
  REQUIRE(here.user({"add", "ann"}, "correct horse\n").status == 0);
  {
    storage::open_options options;
    options.url = "sqlite:" + here.file("maru.db").string();
    options.threads = storage::threading::manual;
    const auto db = storage::open(std::move(options));
    const auto epoch = db->claim_shards("test");
    for (std::size_t i = 1; i < count; ++i) {
      const auto name = "user" + std::to_string(i);
      storage::account_row row{
          uuid::v7(static_cast<std::int64_t>(i)), name, name, name, "-", "user", "{}", 1};
      const auto shard = storage::shard_of(row.id);
      db->submit({{shard, epoch}, {storage::create_account{std::move(row)}}}, {});
    }
    while (storage::pump(*db) > 0) {
    }
  }
  const auto all_once = [&] {
    std::set<std::string> names;
    for (const auto& user : here.list())
      names.insert(user["username"]);
    return names.size();
  };
  CHECK(all_once() == count);
  house h(MARU_BINARY, test::answers(5, 1), on(here));
  CHECK(all_once() == count);
  const auto ann = login(h.address(), "ann", "correct horse");
  CHECK(h.get(ann, users_path).body["users"].size() == 50);
  CHECK(h.get(ann, users_path + "?limit=200").body["users"].size() == limits::users_page);
  CHECK(h.get(ann, users_path + "?limit=201").code() == "invalid_field");
  CHECK(h.get(ann, users_path + "?limit=0").code() == "invalid_field");
  CHECK(h.get(ann, users_path + "?cursor=nonsense").code() == "invalid_field");
  CHECK(h.get(ann, users_path + "?cursor=" + std::string(300, 'a')).code() == "invalid_field");
}

} // namespace maru::tests
