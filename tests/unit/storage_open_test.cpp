#include <array>

#include <sys/wait.h>
#include <unistd.h>

#include "storage/sqlite_apply.hpp"
#include "storage/sqlite_file.hpp"
#include "storage/sqlite_schema.hpp"
#include "storage/sqlite_statement.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

// What opening is refused with; empty when it is not.
std::string refusal_of(const std::string& url) {
  try {
    open_options options;
    options.url = url;
    open(options);
    return {};
  } catch (const open_error& e) {
    return e.detail;
  }
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

void script(const temp_folder& folder, const std::string& sql) {
  const sqlite::file_lock lock(folder.file());
  sqlite::connection(lock.database(), sqlite::connection::mode::write).script(sql);
}

} // namespace

TEST_CASE("an unknown kind of storage is refused with what is allowed") {
  CHECK(has(refusal_of("mysql://host/db"), "sqlite:"));
  CHECK(has(refusal_of("mysql://host/db"), "mysql"));
  CHECK_FALSE(refusal_of("").empty());
  CHECK_FALSE(refusal_of("sqlite:").empty());
  CHECK_FALSE(refusal_of("sqlite:/proc/no/such/place.db").empty());
}

TEST_CASE("missing folders are made, and nobody else may read what is in them") {
  const temp_folder folder;
  const auto file = folder.file().parent_path() / "a" / "b" / "x.db";
  CHECK(refusal_of("sqlite:" + file.string()).empty());
  const auto rights = std::filesystem::status(file).permissions();
  CHECK((rights & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
        std::filesystem::perms::none);
}

TEST_CASE("a database that is open is refused to a second process, until it is closed") {
  bench b;
  const auto url = b.folder().url();
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto why = refusal_of(url);
    ::_exit(::write(ends[1], why.data(), why.size()) == static_cast<ssize_t>(why.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string told(4096, '\0');
  told.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(ends[0], told.data(), told.size()), 0)));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(has(told, "in use by process " + std::to_string(::getpid())));
  CHECK(has(refusal_of(url), "in use")); // nor to the same process
  b.close();
  CHECK(refusal_of(url).empty());
}

TEST_CASE("a link to a database that is open is refused as well") {
  bench b;
  const auto link = b.folder().file().parent_path() / "link.db";
  std::filesystem::create_symlink(b.folder().file(), link);
  CHECK(has(refusal_of("sqlite:" + link.string()), "in use"));
}

TEST_CASE("a newer schema is refused and left as it is") {
  const temp_folder folder;
  REQUIRE(refusal_of(folder.url()).empty());
  script(folder, "PRAGMA user_version = 1000");
  CHECK(has(refusal_of(folder.url()), "schema version 1000"));
  script(folder, "PRAGMA user_version = " + std::to_string(sqlite::migrations().size()));
  CHECK(refusal_of(folder.url()).empty());
}

TEST_CASE("the database of another program is refused, and what is no database") {
  const temp_folder folder;
  script(folder, "CREATE TABLE theirs(x)");
  CHECK(has(refusal_of(folder.url()), "another program"));
  const auto file = folder.file().parent_path() / "text.db";
  if (auto* f = std::fopen(file.c_str(), "w")) {
    for (int i = 0; i < 1000; ++i)
      std::fputs("this is no database ", f);
    std::fclose(f);
  }
  CHECK(has(refusal_of("sqlite:" + file.string()), "not a database"));
}

TEST_CASE(
    "steps of the schema are taken in order, each whole or not at all, and go on from where they ended") {
  const temp_folder folder;
  const sqlite::file_lock lock(folder.file());
  sqlite::connection db(lock.database(), sqlite::connection::mode::write);
  const std::array<const char*, 3> broken{"CREATE TABLE a(x)", "INSERT INTO a VALUES(1)",
                                          "INSERT INTO a VALUES(2); INSERT INTO missing VALUES(1)"};
  CHECK_THROWS_AS(sqlite::migrate(db, broken), sqlite::error);
  const auto sum = [&db] {
    auto q = db.run("SELECT sum(x), (SELECT user_version FROM pragma_user_version) FROM a");
    REQUIRE(q.next());
    return std::pair{q.integer(0), q.integer(1)};
  };
  CHECK(sum() == std::pair<std::int64_t, std::int64_t>{1, 2});
  const std::array<const char*, 3> mended{"no SQL: done before", "nor this", "INSERT INTO a VALUES(40)"};
  sqlite::migrate(db, mended);
  CHECK(sum() == std::pair<std::int64_t, std::int64_t>{41, 3});
}

TEST_CASE("a database of an earlier schema is brought forward, and what it holds is found") {
  const auto posted = event_of(id_of('r', 1), 1, id_of('e', 1));
  for (std::size_t from = 1; from < sqlite::migrations().size(); ++from) {
    const temp_folder folder;
    {
      const sqlite::file_lock lock(folder.file());
      sqlite::connection db(lock.database(), sqlite::connection::mode::write);
      sqlite::migrate(db, sqlite::migrations().first(from));
      for (const auto& p : {part{create_room{room_of(posted.room)}}, part{append_event{posted}},
                            part{record_command{command_of(posted, id_of('c', 1))}}})
        REQUIRE(sqlite::apply(db, p));
    }
    open_options options;
    options.url = folder.url();
    options.threads = threading::manual;
    const auto s = open(std::move(options));
    bool looked = false;
    s->read(
        [&](reader& r) {
          looked = true;
          const auto image = r.image(posted.room, 1).value();
          CHECK(image.room.head == 1);
          CHECK(image.recent.at(0).id == id_of('c', 1));
          CHECK(r.command(posted.room, posted.author.id, id_of('c', 1)).value().event == posted.id);
        },
        {});
    pump(*s);
    CHECK(looked);
  }
}
