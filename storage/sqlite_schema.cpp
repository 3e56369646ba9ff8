#include "storage/sqlite_schema.hpp"

#include <array>

namespace maru::storage::sqlite {

namespace {

// Ids are 16 bytes. The path of a posted message writes five b-trees and one row of `rooms`: every further
// index there is paid by each message. Events and commands have a rowid, so that rows land at the end of
// their table however many rooms are active, and only the short index entries are spread by room.
constexpr const char* version_1 = R"sql(
CREATE TABLE leases(
  shard INTEGER PRIMARY KEY,
  node TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  expires_at INTEGER NOT NULL);            -- 0: never, one process owns the file
INSERT INTO leases
  WITH RECURSIVE all_shards(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM all_shards WHERE n < 255)
  SELECT n, '', 0, 0 FROM all_shards;

CREATE TABLE accounts(
  id BLOB PRIMARY KEY,
  login TEXT NOT NULL UNIQUE,
  username TEXT NOT NULL,
  display_name TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  role TEXT NOT NULL,
  settings TEXT NOT NULL,
  created_at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE families(
  id BLOB PRIMARY KEY,
  account BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER) WITHOUT ROWID;
CREATE INDEX families_alive ON families(account) WHERE revoked_at IS NULL;
CREATE INDEX families_revoked ON families(revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE refreshes(
  hash BLOB PRIMARY KEY,
  family BLOB NOT NULL,
  account BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER,
  nonce TEXT NOT NULL,
  successor BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE keys(
  id TEXT PRIMARY KEY,
  secret BLOB NOT NULL,
  created_at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE rooms(
  id BLOB PRIMARY KEY,
  title TEXT NOT NULL,
  agents TEXT NOT NULL,                    -- JSON array of names
  created_by BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  head INTEGER NOT NULL,
  floor INTEGER NOT NULL,
  active_at INTEGER NOT NULL,
  tail INTEGER NOT NULL DEFAULT 0,         -- seq of the newest message or finished answer
  members INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE TABLE members(
  room BLOB NOT NULL,
  account BLOB NOT NULL,
  role TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  last_read INTEGER NOT NULL,
  PRIMARY KEY(room, account)) WITHOUT ROWID;
CREATE INDEX members_by_account ON members(account);

CREATE TABLE events(
  room BLOB NOT NULL,
  seq INTEGER NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  author_kind TEXT NOT NULL,
  author_id BLOB NOT NULL,
  author_name TEXT NOT NULL,
  parent BLOB,
  reply_to BLOB,
  data TEXT,                               -- NULL: erased
  PRIMARY KEY(room, seq));
CREATE UNIQUE INDEX events_by_id ON events(id);

CREATE TABLE commands(
  room BLOB NOT NULL,
  seq INTEGER NOT NULL,
  author BLOB NOT NULL,
  id BLOB NOT NULL,
  mark BLOB NOT NULL,
  event BLOB NOT NULL,
  answers TEXT NOT NULL);
CREATE INDEX commands_by_seq ON commands(room, seq);
-- The id first: those that grow with time then land side by side.
CREATE UNIQUE INDEX commands_by_id ON commands(id, room, author);

CREATE TABLE answers(
  id BLOB PRIMARY KEY,
  room BLOB NOT NULL,
  question BLOB NOT NULL,
  question_seq INTEGER NOT NULL,
  agent TEXT NOT NULL,
  asker BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  provider_failures INTEGER NOT NULL,
  end_seq INTEGER,
  end_event BLOB) WITHOUT ROWID;
CREATE INDEX answers_by_question ON answers(question);
CREATE INDEX answers_unfinished ON answers(room, question_seq) WHERE end_seq IS NULL;
CREATE INDEX answers_waited_for ON answers(asker) WHERE end_seq IS NULL;

CREATE TABLE checkpoints(
  answer BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  n INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY(answer, attempt, n)) WITHOUT ROWID;

-- One sequence for all mailboxes: it grows within each and no number comes back.
CREATE TABLE entries(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox TEXT NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  enqueued_at INTEGER NOT NULL,
  visible_at INTEGER NOT NULL,
  expires_at INTEGER,
  failures INTEGER NOT NULL,
  losses INTEGER NOT NULL);
CREATE UNIQUE INDEX entries_by_id ON entries(id, mailbox);
CREATE INDEX entries_by_mailbox ON entries(mailbox);
CREATE INDEX entries_due ON entries(visible_at, mailbox);

CREATE TABLE dead_letters(
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  enqueued_at INTEGER NOT NULL,
  visible_at INTEGER NOT NULL,
  expires_at INTEGER,
  failures INTEGER NOT NULL,
  losses INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at INTEGER NOT NULL);
CREATE UNIQUE INDEX dead_letters_by_id ON dead_letters(id, mailbox);
)sql";

// For dropping what has expired.
constexpr const char* version_2 = R"sql(
CREATE INDEX refreshes_expiring ON refreshes(expires_at);
CREATE INDEX refreshes_by_family ON refreshes(family);
)sql";

// It found a room's newest commands, which are among the newest of all.
constexpr const char* version_3 = R"sql(
DROP INDEX commands_by_seq;
)sql";

// What people have scheduled counts to their bounds; and lists of dead letters by mailbox or reason, which
// nothing but a burial pays for.
constexpr const char* version_4 = R"sql(
ALTER TABLE entries ADD COLUMN owner BLOB;
ALTER TABLE dead_letters ADD COLUMN owner BLOB;
CREATE INDEX entries_by_owner ON entries(owner) WHERE owner IS NOT NULL;
CREATE INDEX dead_letters_by_mailbox ON dead_letters(mailbox, n);
CREATE INDEX dead_letters_by_reason ON dead_letters(reason, n);
-- What each attempt at an answer cost.
ALTER TABLE answers ADD COLUMN spent TEXT NOT NULL DEFAULT '';
)sql";

constexpr std::array shipped{version_1, version_2, version_3, version_4};

constexpr std::int64_t maru_application_id = 0x6d617275; // "maru"

std::int64_t number(connection& db, sql pragma) {
  auto q = db.run(pragma);
  return q.next() ? q.integer(0) : 0;
}

void refuse_foreign(connection& db, std::int64_t version) {
  const bool ours = number(db, "PRAGMA application_id") == maru_application_id;
  const bool empty = number(db, "SELECT count(*) FROM sqlite_master") == 0;
  if (!ours && (version != 0 || !empty))
    throw open_error{"the file is a database of another program; name another file in storage.url"};
}

void refuse_newer(std::int64_t version, std::size_t steps) {
  if (version < 0 || version > static_cast<std::int64_t>(steps))
    throw open_error{"the database has schema version " + std::to_string(version) +
                     ", this maru knows versions up to " + std::to_string(steps) +
                     "; run the newer maru, or restore a backup made by this one"};
}

void step_forward(connection& db, const char* sql, std::size_t to) {
  db.exec("BEGIN IMMEDIATE");
  try {
    db.script(sql);
    db.script("PRAGMA application_id = " + std::to_string(maru_application_id) +
              "; PRAGMA user_version = " + std::to_string(to));
    db.exec("COMMIT");
  } catch (...) {
    db.roll_back();
    throw;
  }
}

} // namespace

std::span<const char* const> migrations() { return shipped; }

void migrate(connection& db, std::span<const char* const> steps) {
  const auto version = number(db, "PRAGMA user_version");
  refuse_foreign(db, version);
  refuse_newer(version, steps.size());
  for (auto at = static_cast<std::size_t>(version); at < steps.size(); ++at)
    step_forward(db, steps[at], at + 1);
}

bool is_ours(connection& db) { return number(db, "PRAGMA application_id") == maru_application_id; }

void check_version(connection& db) { refuse_newer(number(db, "PRAGMA user_version"), shipped.size()); }

} // namespace maru::storage::sqlite
