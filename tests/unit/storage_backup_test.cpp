#include "storage/backup.hpp"

#include <atomic>
#include <fstream>
#include <thread>

#include <sys/stat.h>

#include "storage/sqlite_statement.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

namespace fs = std::filesystem;

const auto room = id_of('r', 1);
constexpr std::int64_t some_time = 1'700'000'000'000;

void fill(bench& b, std::uint64_t from, std::uint64_t to) {
  if (from == 1) b.must({create_room{room_of(room)}});
  for (auto seq = from; seq <= to; ++seq)
    b.must({append_event{event_of(room, seq, id_of('e', seq))}});
}

std::uint64_t head(bench& b) {
  std::uint64_t out = 0;
  CHECK(b.look([&](reader& from) {
           if (const auto row = from.room(room)) out = row->head;
         }).empty());
  return out;
}

template <class Work>
std::string why_not(Work work) {
  try {
    work();
  } catch (const open_error& e) {
    return e.detail;
  }
  return "";
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> out;
  for (const auto& f : fs::directory_iterator(folder))
    out.push_back(f.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

void write(const fs::path& file, const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; }

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("a copy holds what was committed when it was made, and the store goes on") {
  bench b;
  temp_folder aside;
  const auto copy = aside.file();
  fill(b, 1, 30);
  const auto facts = back_up(b.folder().url(), copy);
  CHECK(facts.rooms == 1);
  CHECK(facts.events == 30);
  CHECK(facts.bytes == fs::file_size(copy));
  CHECK(files_in(copy.parent_path()) == std::vector<std::string>{"maru.db"});
  CHECK((fs::status(copy).permissions() & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
  fill(b, 31, 40);
  CHECK(head(b) == 40);

  bench fresh;
  fresh.close();
  CHECK_FALSE(restore(fresh.folder().url(), copy, some_time).kept == std::nullopt);
  fresh.reopen();
  CHECK(head(fresh) == 30);
  fill(fresh, 31, 35);
  CHECK(head(fresh) == 35);
}

TEST_CASE("restoring where nothing was leaves one database, and nothing beside it") {
  bench b;
  temp_folder aside, empty;
  fill(b, 1, 3);
  back_up(b.folder().url(), aside.file());
  const auto done = restore(empty.url(), aside.file(), some_time);
  CHECK_FALSE(done.kept);
  CHECK(done.facts.events == 3);
  CHECK(files_in(empty.file().parent_path()) == std::vector<std::string>{"maru.db", "maru.db.lock"});
}

TEST_CASE(
    "a database that was closed in order is as good as a copy, and nothing is left beside what it becomes") {
  temp_folder from, to;
  {
    bench b;
    fill(b, 1, 10);
    const auto file = b.folder().file();
    b.close();
    fs::copy_file(file, from.file());
  }
  restore(to.url(), from.file(), some_time);
  for (const auto& f : fs::directory_iterator(to.file().parent_path()))
    CHECK(f.path().filename().string().find(".partial-") == std::string::npos);
}

TEST_CASE("what was there before is kept beside, with what was in its log") {
  bench b;
  temp_folder aside;
  fill(b, 1, 5);
  back_up(b.folder().url(), aside.file());
  fill(b, 6, 9);
  const auto url = b.folder().url();
  // As a killed server leaves it: the newest commits are in the log.
  const auto database = b.folder().file();
  const auto log = read(database.string() + "-wal");
  REQUIRE(log.size() > 0);
  b.close();
  write(database.string() + "-wal", log);
  const auto done = restore(url, aside.file(), some_time);
  REQUIRE(done.kept);
  CHECK(has(done.kept->string(), "before-restore-20231114T221320Z"));
  b.reopen();
  CHECK(head(b) == 5);
  b.close();
  const auto again = restore(url, *done.kept, some_time);
  CHECK(again.facts.events == 9);
  CHECK(again.kept != done.kept);
  b.reopen();
  CHECK(head(b) == 9);
}

TEST_CASE("a database in use is not replaced") {
  bench b;
  temp_folder aside;
  fill(b, 1, 3);
  back_up(b.folder().url(), aside.file());
  CHECK(has(why_not([&] { restore(b.folder().url(), aside.file(), some_time); }), "in use"));
  fill(b, 4, 5);
  CHECK(head(b) == 5);
}

TEST_CASE("what is no whole copy is refused, and what is there stays") {
  bench b;
  temp_folder aside;
  fill(b, 1, 200);
  const auto copy = aside.file();
  back_up(b.folder().url(), copy);
  const auto whole = read(copy);
  b.close();
  const auto before = files_in(b.folder().file().parent_path());
  const auto refused = [&](const std::string& bytes) {
    write(copy, bytes);
    return why_not([&] { restore(b.folder().url(), copy, some_time); });
  };
  CHECK_FALSE(refused("").empty());
  // It is the copy that is no good, not what is there.
  const std::string advice = copy.string() + " is no database of maru, or a damaged one; use another copy";
  CHECK(refused("this is a letter") == advice);
  CHECK(refused(whole.substr(0, whole.size() / 2)) == advice);
  auto damaged = whole;
  for (auto at = damaged.size() / 2; at < damaged.size() / 2 + 5000; ++at)
    damaged[at] = 'x';
  CHECK_FALSE(refused(damaged).empty());
  CHECK_FALSE(why_not([&] { restore(b.folder().url(), copy.string() + ".none", some_time); }).empty());
  const auto pipe = aside.file().parent_path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0); // nobody would ever write to it
  CHECK(why_not([&] { restore(b.folder().url(), pipe, some_time); }).find("is no file") != std::string::npos);
  CHECK(files_in(b.folder().file().parent_path()) == before);
  b.reopen();
  CHECK(head(b) == 200);
}

TEST_CASE("what another program still reads is not replaced, nor changed") {
  bench b;
  temp_folder aside;
  fill(b, 1, 5);
  back_up(b.folder().url(), aside.file());
  const auto database = b.folder().file();
  sqlite::connection other(database, sqlite::connection::mode::read);
  other.exec("BEGIN");
  {
    CHECK(other.run("SELECT count(*) FROM events").next());
  }
  fill(b, 6, 9);
  const auto url = b.folder().url();
  b.close();
  const auto before = files_in(database.parent_path());
  CHECK(has(why_not([&] { restore(url, aside.file(), some_time); }), "another program reads"));
  CHECK(files_in(database.parent_path()) == before);
  other.roll_back();
  b.reopen();
  CHECK(head(b) == 9);
}

TEST_CASE("a damaged database is replaced, and kept with its log") {
  bench b;
  temp_folder aside;
  fill(b, 1, 50);
  back_up(b.folder().url(), aside.file());
  const auto database = b.folder().file();
  const auto url = b.folder().url();
  b.close();
  write(database, std::string(100'000, 'x'));
  write(database.string() + "-wal", "a log");
  const auto done = restore(url, aside.file(), some_time);
  REQUIRE(done.kept);
  CHECK(read(*done.kept) == std::string(100'000, 'x'));
  b.reopen();
  CHECK(head(b) == 50);
}

TEST_CASE("of two copies to one name at once, one is made and the other refused") {
  bench b;
  fill(b, 1, 50);
  for (int round = 0; round < 10; ++round) {
    temp_folder aside;
    std::atomic<int> made{0};
    const auto copy = [&] {
      if (why_not([&] { back_up(b.folder().url(), aside.file()); }).empty()) ++made;
    };
    std::thread other(copy);
    copy();
    other.join();
    CHECK(made == 1);
  }
}

TEST_CASE("names that cannot be are refused in words") {
  bench b;
  temp_folder aside;
  fill(b, 1, 3);
  const auto loop = aside.file();
  fs::create_symlink(loop, loop);
  for (const auto& name : {fs::path{}, loop, fs::path(std::string(5000, 'y')), loop.parent_path()})
    CHECK_FALSE(why_not([&] { back_up(b.folder().url(), name); }).empty());
  CHECK_FALSE(why_not([&] { back_up("sqlite:" + std::string(300, 'y'), aside.file()); }).empty());
}

TEST_CASE("a copy of a newer version is refused, of another program, too") {
  bench b;
  temp_folder aside;
  fill(b, 1, 3);
  const auto copy = aside.file();
  back_up(b.folder().url(), copy);
  b.close();
  const auto mark = [&](const std::string& sql) {
    sqlite::connection(copy, sqlite::connection::mode::write).script(sql);
  };
  mark("PRAGMA user_version = 1000");
  CHECK(has(why_not([&] { restore(b.folder().url(), copy, some_time); }), "1000"));
  mark("PRAGMA user_version = 1; PRAGMA application_id = 7");
  CHECK(has(why_not([&] { restore(b.folder().url(), copy, some_time); }), "no database of maru"));
}

TEST_CASE("a copy is not written over a file, and none is left where it fails") {
  bench b;
  temp_folder aside;
  fill(b, 1, 3);
  write(aside.file(), "precious");
  CHECK(has(why_not([&] { back_up(b.folder().url(), aside.file()); }), "there already"));
  CHECK(read(aside.file()) == "precious");
  const auto nowhere = aside.file().parent_path() / "no" / "such" / "folder";
  CHECK_FALSE(why_not([&] { back_up(b.folder().url(), nowhere); }).empty());
  CHECK(has(why_not([&] { back_up("sqlite:" + nowhere.string(), aside.file().string() + "2"); }),
            "there is no database"));
  CHECK(files_in(aside.file().parent_path()) == std::vector<std::string>{"maru.db"});
}

TEST_CASE("only an embedded database is copied so") {
  CHECK(has(why_not([] { back_up("postgresql://host/db", "x"); }), "sqlite:FILE"));
  CHECK(has(why_not([] { restore("postgresql://host/db", "x", some_time); }), "sqlite:FILE"));
}
