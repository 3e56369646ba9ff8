// The server is killed at random moments under many running answers, while it starts, takes up what the last
// kill left and brings an older database forward; and nothing that it told is lost. MARU_SEED replays a run;
// MARU_KILLS changes how often it is killed.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <sstream>

#include "storage/sqlite_schema.hpp"
#include "tests/support/bad_disk.hpp"
#include "tests/support/chat_client.hpp"
#include "tests/support/fake_model.hpp"
#include "tests/support/seed.hpp"
#include "tests/support/server_process.hpp"

namespace maru::tests {
namespace {

// How to get from each version of the schema back to the one before; a new version needs its line here.
constexpr std::array undo{
    "DROP INDEX refreshes_expiring; DROP INDEX refreshes_by_family;",
    "CREATE INDEX commands_by_seq ON commands(room, seq);",
    "DROP INDEX entries_by_owner; DROP INDEX dead_letters_by_mailbox;"
    "DROP INDEX dead_letters_by_reason; ALTER TABLE entries DROP COLUMN owner;"
    "ALTER TABLE dead_letters DROP COLUMN owner; ALTER TABLE answers DROP COLUMN spent;"};

constexpr std::size_t users = 20, devices = 2, rooms_of_a_user = 2, answers_at_a_time = 3;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const auto* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// A question says how it is to be answered: "... PIECES DELAY".
std::string question(std::uint64_t number, std::size_t pieces, std::size_t delay_ms) {
  return "question " + std::to_string(number) + " " + std::to_string(pieces) + " " + std::to_string(delay_ms);
}

struct wanted {
  std::size_t pieces = 0;
  std::uint32_t delay_ms = 0;
};
wanted wanted_of(const std::string& question) {
  std::istringstream from(question);
  std::string word, number;
  wanted out;
  from >> word >> number >> out.pieces >> out.delay_ms;
  return out;
}

std::string last_of(const std::string& log) {
  return log.substr(log.size() - std::min<std::size_t>(log.size(), 3000));
}

test::fake_script answer_as_asked(const test::fake_request& request) {
  const auto how = wanted_of(request.question());
  return test::answers(how.pieces, how.delay_ms)(request);
}

// One server, its model, and people with two devices each who talk in two rooms each.
class crowd {
public:
  crowd(const std::string& recovery, std::uint64_t seed)
      : random_(seed), model_(answer_as_asked), server_(MARU_BINARY, options(recovery)) {
    server_.start();
    for (std::size_t u = 0; u < users; ++u) {
      const auto who = sign_up(server_.address(), "user" + std::to_string(u));
      std::vector<std::string> rooms;
      for (std::size_t r = 0; r < rooms_of_a_user; ++r)
        rooms.push_back(make_room(server_.address(), who, {"maru"}));
      for (std::size_t d = 0; d < devices; ++d) {
        auto& c = *clients_.emplace_back(std::make_unique<chat_client>(server_.address(), who, random_()));
        c.expect(test::expected_answer);
        REQUIRE(c.connect());
        for (const auto& room : rooms)
          c.open(room);
        all_.push_back(&c);
      }
    }
    REQUIRE(pump(all_, [&] { return frames() >= all_.size() * (1 + rooms_of_a_user); }));
  }

  // Talks until so many frames have come.
  void talk(std::uint64_t frames_more) {
    const auto until = frames() + frames_more;
    act();
    auto last = frames();
    REQUIRE(pump(all_, [&] {
      if (frames() - last > 200) {
        last = frames();
        act();
      }
      return frames() >= until || everything_has_ended();
    }));
  }

  void kill() {
    server_.kill();
    ++kills_;
  }

  // Killed in the place of one of the first calls that change anything on the disk. A start takes some 20 of
  // them; with a database to bring forward, or a long log to take up, more.
  void start_and_kill() {
    disk_->changes = 0;
    disk_->dies_at = static_cast<int>(1 + any(40));
    server_.begin_start();
    server_.wait_log(" listens on ");
    disk_->dies_at = 0;
    kill();
    ++kills_at_start_;
  }

  void make_older() {
    REQUIRE(storage::sqlite::migrations().size() == undo.size() + 1);
    storage::sqlite::connection db(server_.data() / "maru.db", storage::sqlite::connection::mode::write);
    const auto to = 1 + any(undo.size());
    for (auto version = undo.size() + 1; version > to && version_of(db) == version; --version)
      db.script("BEGIN IMMEDIATE;" + std::string(undo[version - 2]) +
                "PRAGMA user_version = " + std::to_string(version - 1) + "; COMMIT");
    ++made_older_;
  }

  void start() {
    pump(all_, [] { return false; }); // what still lies in the sockets
    server_.start();
    for (auto* c : all_) {
      const bool connected = c->connect();
      if (!connected)
        UNSCOPED_INFO(c->who().name << (c->connected() ? " got no welcome" : " was closed")
                                    << "; the server's log ends with:\n"
                                    << last_of(server_.log()));
      REQUIRE(connected);
    }
  }

  void settle() {
    const bool settled = pump(all_, [&] { return everything_has_ended(); });
    for (auto* c : all_) {
      for (const auto& [id, r] : c->rooms())
        if (c->unfinished(id) > 0) UNSCOPED_INFO("unfinished answers in room " << id);
      if (c->unacked() > 0) UNSCOPED_INFO(c->who().name << " has commands without an ack");
    }
    if (!settled) UNSCOPED_INFO(server_.log());
    CHECK(settled);
  }

  [[nodiscard]] std::uint64_t kills() const { return kills_; }
  [[nodiscard]] std::string tally() const {
    std::uint64_t commands = 0, events = 0;
    for (const auto* c : all_) {
      commands += c->commands().size();
      for (const auto& [id, r] : c->rooms())
        events += r.events.size();
    }
    return std::to_string(kills_) + " kills, " + std::to_string(kills_at_start_) +
           " of them during a start (" + std::to_string(made_older_) +
           " times with a database to bring forward); " + std::to_string(commands) +
           " commands acknowledged, " + std::to_string(events / devices) + " events seen by each device, " +
           std::to_string(answers_ended_ / devices) + " answers whole, " +
           std::to_string(answers_stopped_ / devices) + " stopped";
  }

  void check_all() {
    for (auto* c : all_) {
      CHECK(c->wrong() == "");
      CHECK(c->errors().empty());
      for (const auto& e : c->errors())
        UNSCOPED_INFO(e.dump());
      for (const auto& [id, r] : c->rooms())
        check_room(*c, id);
      check_commands(*c);
    }
    CHECK(answers_ended_ > 0);
    CHECK(answers_stopped_ > 0);
  }

private:
  server_options options(const std::string& recovery) const {
    server_options out;
    out.model_url = model_.url();
    out.recovery = recovery;
    out.environment = disk_.environment();
    out.set = {"auth.access_token_seconds=86400"}; // a thousand kills take longer than the usual life of one
    return out;
  }

  static std::size_t version_of(storage::sqlite::connection& db) {
    auto q = db.run("PRAGMA user_version");
    return q.next() ? q.count(0) : 0;
  }

  [[nodiscard]] std::uint64_t frames() const {
    std::uint64_t sum = 0;
    for (const auto* c : all_)
      sum += c->frames();
    return sum;
  }

  [[nodiscard]] bool everything_has_ended() const {
    for (const auto* c : all_) {
      if (c->unacked() > 0) return false;
      for (const auto& [id, r] : c->rooms())
        if (!r.is_open || c->unfinished(id) > 0) return false;
    }
    return true;
  }

  std::size_t any(std::size_t below) { return random_() % below; }

  void act() {
    for (auto* c : all_)
      for (const auto& [room, r] : c->rooms()) {
        const auto what = any(10);
        if (what < 2)
          c->send(room, "a word " + std::to_string(++number_), {{"agents", json::array()}});
        else if (what == 2 && !r.live.empty())
          c->stop(room, std::next(r.live.begin(), static_cast<long>(any(r.live.size())))->first);
        else if (what < 8 && c->unfinished(room) < answers_at_a_time && c->unacked() < answers_at_a_time)
          c->send(room, question(++number_, 20 + any(81), 5 + any(6)));
      }
  }

  void check_room(const chat_client& c, const std::string& id) {
    const auto& log = c.room(id).events;
    const auto kept = all_events(server_.address(), c.who(), id);
    REQUIRE(kept.size() == log.size());
    std::map<std::string, std::string> minted; // answer to its question's text
    std::map<std::string, std::size_t> ends, messages;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto& event = kept[i];
      auto shown = log.at(i + 1);
      shown.erase("type");
      REQUIRE(event["seq"] == i + 1);
      REQUIRE(event == shown);
      const auto& data = event["data"];
      if (event["kind"] == "message") {
        ++messages[data["client_id"]];
        for (const auto& a : data["answers"])
          minted[a["answer"]] = data["text"];
      } else {
        ++ends[data["answer"]];
        check_end(event, minted);
      }
    }
    for (const auto& [answer, text] : minted)
      CHECK(ends[answer] == 1);
    CHECK(ends.size() == minted.size());
    for (const auto& [command, count] : messages)
      CHECK(count == 1);
  }

  void check_end(const json& event, const std::map<std::string, std::string>& minted) {
    const auto& data = event["data"];
    const auto asked = minted.find(data["answer"]);
    REQUIRE(asked != minted.end());
    const auto whole = test::expected_answer(asked->second, wanted_of(asked->second).pieces);
    if (event["kind"] == "answer") {
      ++answers_ended_;
      CHECK(data["text"] == whole);
    } else {
      ++answers_stopped_;
      CHECK(event["kind"] == "answer_stopped");
      CHECK(whole.starts_with(data["text"].get<std::string>()));
    }
  }

  void check_commands(const chat_client& c) {
    for (const auto& [id, what] : c.commands()) {
      REQUIRE(what.ack);
      const auto& event = c.room(what.frame["room"]).events.at((*what.ack)["seq"]);
      CHECK(event["id"] == (*what.ack)["event"]);
      const auto& data = event["data"];
      if (what.frame["type"] == "send") {
        CHECK(data["client_id"] == id);
        CHECK(data["text"] == what.frame["text"]);
        CHECK(data["answers"] == (*what.ack)["answers"]);
      } else {
        CHECK(data["answer"] == what.frame["answer"]);
      }
    }
  }

  std::mt19937_64 random_;
  const bad_disk disk_{MARU_BAD_DISK};
  test::fake_model model_;
  server_process server_;
  std::vector<std::unique_ptr<chat_client>> clients_;
  std::vector<chat_client*> all_;
  std::uint64_t number_ = 0, answers_ended_ = 0, answers_stopped_ = 0;
  std::uint64_t kills_ = 0, kills_at_start_ = 0, made_older_ = 0;
};

void kill_often(const std::string& recovery, std::uint64_t usual_kills) {
  const auto seed = from_environment("MARU_SEED", maru::tests::seed());
  const auto kills = from_environment("MARU_KILLS", usual_kills);
  CAPTURE(seed, recovery);
  std::mt19937_64 random(seed);
  crowd people(recovery, seed);
  while (people.kills() < kills) {
    CAPTURE(people.kills());
    people.talk(random() % 3 == 0 ? random() % 100 : random() % 6000);
    people.kill();
    if (random() % 8 == 0) people.make_older();
    while (random() % 2 == 0)
      people.start_and_kill();
    people.start();
  }
  people.talk(2000);
  people.settle();
  people.check_all();
  WARN("recovery " << recovery << ", seed " << seed << ": " << people.tally());
}

} // namespace

TEST_CASE("a server that is killed under running answers loses and doubles nothing, with recovery restart") {
  kill_often("restart", 20);
}

TEST_CASE("a server that is killed under running answers loses and doubles nothing, with recovery continue") {
  kill_often("continue", 20);
}

TEST_CASE("a server that is killed a thousand times loses and doubles nothing", "[long]") {
  kill_often("restart", 500);
  kill_often("continue", 500);
}

} // namespace maru::tests
