#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include "storage/sqlite_rows.hpp"
#include "tests/fuzz/input.hpp"

// Rows with any value in any column: each becomes a value or a read_error, and what is text stays as it is.
namespace maru::fuzz {
namespace {

using namespace storage::sqlite;

class statement {
public:
  statement() {
    holds(sqlite3_open(":memory:", &db_) == SQLITE_OK, "a database in memory opens");
    holds(sqlite3_prepare_v2(db_, "SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11", -1, &made_, nullptr) ==
              SQLITE_OK,
          "and takes the statement");
  }
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement() {
    sqlite3_finalize(made_);
    sqlite3_close(db_);
  }

  void bind(int column, parts& from) {
    const auto kind = from.byte() % 8;
    if (kind == 0) sqlite3_bind_null(made_, column);
    if (kind == 1) sqlite3_bind_int64(made_, column, static_cast<sqlite3_int64>(from.number(8)));
    if (kind == 2) sqlite3_bind_double(made_, column, static_cast<double>(from.number(4)) / 7);
    if (kind > 2 && kind < 6) bind_bytes(column, from.take(16), false);
    if (kind >= 6) bind_bytes(column, from.take(from.byte()), kind == 6);
  }

  query row() {
    query out{db_, made_, false};
    holds(out.next(), "there is a row");
    return out;
  }

private:
  void bind_bytes(int column, std::string_view bytes, bool text) {
    const auto size = static_cast<int>(bytes.size());
    if (text)
      sqlite3_bind_text(made_, column, bytes.data(), size, SQLITE_TRANSIENT);
    else
      sqlite3_bind_blob(made_, column, bytes.data(), size, SQLITE_TRANSIENT);
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* made_ = nullptr;
};

void check_room(const query& q) {
  const auto room = room_of(q);
  const auto written = nlohmann::json::parse(agents_text(room.agents), nullptr, false);
  holds(written == nlohmann::json(room.agents), "names that were read are written as they are");
}

void check_event(const query& q) {
  const auto event = event_of(q);
  if (q.null(10))
    holds(is_json(event.data), "an erased event says so in JSON");
  else
    holds(event.data == q.bytes(10), "the data is what is stored");
}

template <class Read>
void check(Read read) {
  try {
    read();
  } catch (const storage::read_error&) {
  }
}

} // namespace

void one_input(std::string_view bytes) {
  static statement all;
  parts in{bytes};
  for (int column = 1; column <= 11; ++column)
    all.bind(column, in);
  const auto q = all.row();
  check([&] { account_of(q); });
  check([&] { check_room(q); });
  check([&] { member_of(q); });
  check([&] { check_event(q); });
  check([&] { command_of(q); });
  check([&] { answer_of(q); });
  check([&] { entry_of(q); });
}

} // namespace maru::fuzz
