#include "storage/sqlite_reader.hpp"

#include <algorithm>
#include <exception>
#include <limits>

#include "config/limits.hpp"
#include "storage/sqlite_rows.hpp"

namespace maru::storage::sqlite {

namespace {

// A bound or a sequence number from outside may not fit what SQLite counts with.
std::int64_t clamped(std::uint64_t n) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  return n > static_cast<std::uint64_t>(most) ? most : static_cast<std::int64_t>(n);
}

template <class Row>
std::optional<Row> first(query q, Row (*row_of)(const query&)) {
  if (!q.next()) return std::nullopt;
  return row_of(q);
}

template <class Row>
std::vector<Row> all(query q, Row (*row_of)(const query&)) {
  std::vector<Row> out;
  while (q.next())
    out.push_back(row_of(q));
  return out;
}

// Stops before the row that would exceed `bytes`, but gives one at least, so that a page always moves on.
std::vector<event_row> within(query q, std::size_t bytes) {
  std::vector<event_row> out;
  std::size_t sum = 0;
  while (q.next()) {
    auto row = event_of(q);
    sum += row.data.size();
    if (!out.empty() && sum > bytes) break;
    out.push_back(std::move(row));
  }
  return out;
}

room_summary summary_of(const query& q) {
  room_summary s;
  s.room = room_of(q);
  s.members = q.small(room_columns);
  s.read = q.count(room_columns + 1);
  return s;
}

account_summary account_summary_of(const query& q) {
  return {q.id(0), q.bytes(1), q.bytes(2), q.bytes(3), q.integer(4)};
}

// Whoever wrote the newest event has read all; the mark may come later.
void add_last(room_summary& to, std::optional<event_row> last, const uuid& reader) {
  if (last && last->author.kind == "user" && last->author.id == reader &&
      last->data.find(scheduled_mark) == std::string::npos)
    to.read = to.room.head;
  to.read = std::min(to.read, to.room.head);
  to.unread = to.room.head - to.read;
  to.last = std::move(last);
}

answer_end answer_end_of(const query& q) {
  constexpr int kind = 11;
  return {answer_of(q), q.null(kind) ? "" : q.bytes(kind)};
}

family_row family_of(const query& q) { return {q.id(0), q.id(1), q.integer(2), q.maybe_integer(3)}; }

refresh_row refresh_of(const query& q) {
  return {q.bytes(0), q.id(1), q.id(2), q.integer(3), q.maybe_integer(4), q.bytes(5), q.bytes(6)};
}

key_row key_of(const query& q) { return {q.bytes(0), q.bytes(1), q.integer(2)}; }

#define MARU_DEAD_COLUMNS MARU_ENTRY_COLUMNS ", reason, at, n"
dead_letter dead_of(const query& q) {
  return {entry_of(q), q.bytes(entry_columns), q.integer(entry_columns + 1), q.count(entry_columns + 2)};
}

mailbox_summary mailbox_summary_of(const query& q) {
  return {q.bytes(0), q.count(1), q.integer(2), q.integer(3)};
}

std::string mailbox_of(const query& q) { return q.bytes(0); }

entry_head head_of(const query& q) { return {q.id(0), q.maybe_id(1), q.integer(2)}; }

#define MARU_DEAD_QUERY(which)                                                                               \
  "SELECT " MARU_DEAD_COLUMNS " FROM dead_letters WHERE n < ?1" which " ORDER BY n DESC LIMIT ?4"

// One index leads to them whichever are meant. Of few mailboxes, and of fewer reasons: where both are asked
// for, the mailbox's is the better one.
sql dead_query(const dead_filter& which) {
  if (which.mailbox && which.reason) return MARU_DEAD_QUERY(" AND mailbox = ?2 AND +reason = ?3");
  if (which.mailbox) return MARU_DEAD_QUERY(" AND mailbox = ?2");
  if (which.reason) return MARU_DEAD_QUERY(" AND reason = ?3");
  return MARU_DEAD_QUERY("");
}

class snapshot final : public reader {
public:
  explicit snapshot(connection& db) : db_(db) {}

  std::optional<account_row> account(const uuid& id) override {
    return first(db_.run("SELECT " MARU_ACCOUNT_COLUMNS " FROM accounts WHERE id = ?", id), account_of);
  }

  std::optional<account_row> account_by_login(const std::string& folded) override {
    return first(db_.run("SELECT " MARU_ACCOUNT_COLUMNS " FROM accounts WHERE login = ?", folded),
                 account_of);
  }

  std::vector<account_summary> accounts(const uuid& after, std::size_t most) override {
    return all(db_.run("SELECT id, username, display_name, role, created_at FROM accounts "
                       "WHERE id > ? ORDER BY id LIMIT ?",
                       after, clamped(most)),
               account_summary_of);
  }

  std::optional<refresh_row> refresh(const std::string& hash) override {
    return first(db_.run("SELECT hash, family, account, expires_at, used_at, nonce, successor "
                         "FROM refreshes WHERE hash = ?",
                         blob{hash}),
                 refresh_of);
  }

  std::optional<family_row> family(const uuid& id) override {
    return first(db_.run("SELECT id, account, created_at, revoked_at FROM families WHERE id = ?", id),
                 family_of);
  }

  std::vector<family_row> families_revoked_since(std::int64_t at) override {
    return all(db_.run("SELECT id, account, created_at, revoked_at FROM families "
                       "WHERE revoked_at IS NOT NULL AND revoked_at >= ? ORDER BY revoked_at, id",
                       at),
               family_of);
  }

  std::vector<key_row> keys() override {
    return all(db_.run("SELECT id, secret, created_at FROM keys ORDER BY created_at, id"), key_of);
  }

  std::optional<room_row> room(const uuid& id) override {
    return first(db_.run("SELECT " MARU_ROOM_COLUMNS " FROM rooms r WHERE r.id = ?", id), room_of);
  }

  std::optional<member_row> member(const uuid& room, const uuid& account) override {
    return first(
        db_.run("SELECT " MARU_MEMBER_COLUMNS " FROM members WHERE room = ? AND account = ?", room, account),
        member_of);
  }

  std::optional<room_image> image(const uuid& id, std::size_t recent_commands) override;
  std::vector<room_summary> rooms_of(const uuid& account, std::optional<rooms_cursor> before,
                                     std::size_t most) override;
  std::optional<room_summary> room_for(const uuid& room, const uuid& account) override;
  std::optional<checkpoint_row> checkpoint(const uuid& id) override {
    const auto row = answer(id);
    return row ? joined_checkpoint(*row) : std::nullopt;
  }

  std::vector<event_row> events_after(const uuid& room, std::uint64_t after, std::size_t most,
                                      std::size_t bytes) override {
    return within(db_.run("SELECT " MARU_EVENT_COLUMNS
                          " FROM events e WHERE e.room = ? AND e.seq > ? ORDER BY e.seq LIMIT ?",
                          room, clamped(after), clamped(most)),
                  bytes);
  }

  std::vector<event_row> events_before(const uuid& room, std::uint64_t before, std::size_t most,
                                       std::size_t bytes) override {
    auto out = within(db_.run("SELECT " MARU_EVENT_COLUMNS
                              " FROM events e WHERE e.room = ? AND e.seq < ? ORDER BY e.seq DESC LIMIT ?",
                              room, clamped(before), clamped(most)),
                      bytes);
    std::reverse(out.begin(), out.end());
    return out;
  }

  std::optional<event_row> event(const uuid& room, const uuid& id) override {
    return first(
        db_.run("SELECT " MARU_EVENT_COLUMNS " FROM events e WHERE e.id = ? AND e.room = ?", id, room),
        event_of);
  }

  std::vector<event_row> chain(const uuid& room, const uuid& id, std::size_t most,
                               std::size_t bytes) override;

  std::vector<event_row> answers_to(const uuid& room, const uuid& question) override {
    return all(db_.run("SELECT " MARU_EVENT_COLUMNS " FROM answers a "
                       "JOIN events e ON e.room = a.room AND e.seq = a.end_seq "
                       "WHERE a.question = ? AND a.room = ? AND e.kind = 'answer' ORDER BY e.seq",
                       question, room),
               event_of);
  }

  std::vector<answer_end> answers_of(const uuid& question, const std::string& agent) override {
    return all(db_.run("SELECT a.id, a.room, a.question, a.question_seq, a.agent, a.asker, a.attempt, "
                       "a.provider_failures, a.end_seq, a.end_event, a.spent, e.kind FROM answers a "
                       "LEFT JOIN events e ON e.room = a.room AND e.seq = a.end_seq "
                       "WHERE a.question = ? AND a.agent = ? ORDER BY a.id",
                       question, agent),
               answer_end_of);
  }

  std::optional<command_row> command(const uuid& room, const uuid& author, const uuid& id) override {
    return first(db_.run("SELECT " MARU_COMMAND_COLUMNS
                         " FROM commands WHERE room = ? AND author = ? AND id = ?",
                         room, author, id),
                 command_of);
  }

  std::optional<answer_row> answer(const uuid& id) override {
    return first(db_.run("SELECT " MARU_ANSWER_COLUMNS " FROM answers WHERE id = ?", id), answer_of);
  }

  std::uint32_t unfinished_of(const uuid& asker) override {
    auto q =
        db_.run("SELECT count(DISTINCT question) FROM answers WHERE asker = ? AND end_seq IS NULL", asker);
    return q.next() ? q.small(0) : 0;
  }

  std::vector<mailbox_entry> entries(const std::string& mailbox, std::size_t most,
                                     std::uint64_t after) override {
    return all(db_.run("SELECT " MARU_ENTRY_COLUMNS
                       " FROM entries WHERE mailbox = ? AND seq > ? ORDER BY seq LIMIT ?",
                       mailbox, clamped(after), clamped(most)),
               entry_of);
  }

  std::vector<mailbox_entry> entries_due(const std::string& mailbox, std::int64_t now,
                                         std::size_t most) override {
    return all(db_.run("SELECT " MARU_ENTRY_COLUMNS " FROM entries WHERE mailbox = ? AND visible_at <= ? "
                       "ORDER BY visible_at, seq LIMIT ?",
                       mailbox, now, clamped(most)),
               entry_of);
  }

  std::vector<entry_head> entry_heads(const std::string& mailbox) override {
    return all(db_.run("SELECT id, owner, visible_at FROM entries WHERE mailbox = ?", mailbox), head_of);
  }

  std::optional<mailbox_entry> entry(const uuid& id) override {
    return first(db_.run("SELECT " MARU_ENTRY_COLUMNS " FROM entries WHERE id = ?", id), entry_of);
  }

  std::uint32_t entries_of(const uuid& owner) override {
    auto q = db_.run("SELECT count(*) FROM entries WHERE owner = ?", owner);
    return q.next() ? q.small(0) : 0;
  }

  std::vector<mailbox_summary> mailboxes(const std::string& after, std::size_t most) override {
    return all(db_.run("SELECT mailbox, count(*), min(enqueued_at), min(visible_at) FROM entries "
                       "WHERE mailbox > ? GROUP BY mailbox ORDER BY mailbox LIMIT ?",
                       after, clamped(most)),
               mailbox_summary_of);
  }

  std::vector<std::string> mailboxes_due(std::int64_t now, std::size_t most) override {
    return all(
        db_.run("SELECT DISTINCT mailbox FROM entries WHERE visible_at <= ? LIMIT ?", now, clamped(most)),
        mailbox_of);
  }

  std::vector<dead_letter> dead(const dead_filter& which, std::optional<std::uint64_t> before,
                                std::size_t most) override {
    return all(db_.run(dead_query(which), clamped(before.value_or(std::numeric_limits<std::uint64_t>::max())),
                       which.mailbox, which.reason, clamped(most)),
               dead_of);
  }

  std::optional<dead_letter> dead_letter_of(const uuid& id) override {
    return first(db_.run("SELECT " MARU_DEAD_COLUMNS " FROM dead_letters WHERE id = ?", id), dead_of);
  }

  observation observe(std::int64_t now) override;

private:
  std::optional<event_row> event_at(const uuid& room, std::uint64_t seq) {
    return first(
        db_.run("SELECT " MARU_EVENT_COLUMNS " FROM events e WHERE e.room = ? AND e.seq = ?", room, seq),
        event_of);
  }

  std::optional<checkpoint_row> joined_checkpoint(const answer_row& answer);
  void add_recent(room_image& out, std::size_t most);

  connection& db_;
};

std::optional<checkpoint_row> snapshot::joined_checkpoint(const answer_row& answer) {
  auto q = db_.run("SELECT n, text FROM checkpoints WHERE answer = ? AND attempt = ? ORDER BY n", answer.id,
                   answer.attempt);
  std::optional<checkpoint_row> out;
  while (q.next()) {
    if (!out) out = checkpoint_row{answer.id, answer.attempt, 0, {}};
    out->n = q.count(0);
    out->text += q.bytes(1);
  }
  return out;
}

// Looks through the newest of all rooms: a command is sent again soon or, as a rule, never. A VACUUM by some
// tool keeps the order of rows, though it may number them anew.
void snapshot::add_recent(room_image& out, std::size_t most) {
  out.recent = all(db_.run("SELECT " MARU_COMMAND_COLUMNS " FROM commands WHERE room = ?1 "
                           "AND rowid > (SELECT max(rowid) FROM commands) - ?2 ORDER BY rowid DESC LIMIT ?3",
                           out.room.id, clamped(most * limits::commands_read_for_one), clamped(most)),
                   command_of);
  std::reverse(out.recent.begin(), out.recent.end());
}

std::optional<room_image> snapshot::image(const uuid& id, std::size_t recent_commands) {
  room_image out;
  std::uint64_t tail = 0;
  {
    auto q = db_.run("SELECT " MARU_ROOM_COLUMNS ", r.tail FROM rooms r WHERE r.id = ?", id);
    if (!q.next()) return std::nullopt;
    out.room = room_of(q);
    tail = q.count(room_columns);
  }
  out.members = all(db_.run("SELECT " MARU_MEMBER_COLUMNS " FROM members WHERE room = ?", id), member_of);
  out.unfinished = all(db_.run("SELECT " MARU_ANSWER_COLUMNS " FROM answers "
                               "WHERE room = ? AND end_seq IS NULL ORDER BY id",
                               id),
                       answer_of);
  for (const auto& answer : out.unfinished)
    if (auto joined = joined_checkpoint(answer)) out.checkpoints.push_back(std::move(*joined));
  add_recent(out, recent_commands);
  if (tail != 0) out.tail = event_at(id, tail);
  out.last = tail == out.room.head ? out.tail : event_at(id, out.room.head);
  return out;
}

std::vector<room_summary> snapshot::rooms_of(const uuid& account, std::optional<rooms_cursor> before,
                                             std::size_t most) {
  std::vector<room_summary> out;
  {
    // Rooms of one person are few enough to sort; an index by activity would cost every message a write.
    auto q = db_.run("SELECT " MARU_ROOM_COLUMNS ", r.members, m.last_read FROM members m "
                     "JOIN rooms r ON r.id = m.room "
                     "WHERE m.account = ?1 AND (?2 IS NULL OR (r.active_at, r.id) < (?2, ?3)) "
                     "ORDER BY r.active_at DESC, r.id DESC LIMIT ?4",
                     account, before ? std::optional(before->active_at) : std::nullopt,
                     before ? before->room : uuid{}, clamped(most));
    while (q.next())
      out.push_back(summary_of(q));
  }
  for (auto& s : out)
    add_last(s, event_at(s.room.id, s.room.head), account);
  return out;
}

std::optional<room_summary> snapshot::room_for(const uuid& room, const uuid& account) {
  auto found = first(db_.run("SELECT " MARU_ROOM_COLUMNS ", r.members, m.last_read FROM members m "
                             "JOIN rooms r ON r.id = m.room WHERE m.account = ? AND m.room = ?",
                             account, room),
                     summary_of);
  if (found) add_last(*found, event_at(room, found->room.head), account);
  return found;
}

std::vector<event_row> snapshot::chain(const uuid& room, const uuid& id, std::size_t most,
                                       std::size_t bytes) {
  std::vector<event_row> out;
  std::size_t sum = 0;
  std::optional<uuid> next = id;
  while (next && out.size() < most) {
    auto row = event(room, *next);
    // A parent is older than its child: no data can make this walk in a circle.
    if (!row || (!out.empty() && row->seq >= out.back().seq)) break;
    sum += row->data.size();
    if (!out.empty() && sum > bytes) break;
    next = row->parent;
    out.push_back(std::move(*row));
  }
  return out;
}

// 0 where it cannot be told: whoever watches learns the rest all the same.
std::uint64_t size_of(const std::filesystem::path& file) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(file, failed);
  return failed ? 0 : size;
}

observation snapshot::observe(std::int64_t now) {
  observation out;
  const auto most = clamped(limits::observed_rows);
  const auto count = [](query q) { return q.next() ? q.count(0) : 0; };
  out.unfinished =
      count(db_.run("SELECT count(*) FROM (SELECT 1 FROM answers WHERE end_seq IS NULL LIMIT ?)", most));
  for (std::size_t i = 0; i < mailbox_kinds.size(); ++i) {
    const std::string kind{mailbox_kinds.at(i)};
    out.mailboxes.at(i).entries =
        count(db_.run("SELECT count(*) FROM (SELECT 1 FROM entries "
                      "WHERE mailbox >= ?1 || '/' AND mailbox < ?1 || '0' LIMIT ?2)",
                      kind, most));
  }
  {
    auto q = db_.run("SELECT substr(mailbox, 1, instr(mailbox, '/') - 1), min(visible_at) FROM "
                     "(SELECT mailbox, visible_at FROM entries WHERE visible_at <= ? ORDER BY visible_at "
                     "LIMIT ?) GROUP BY 1",
                     now, most);
    while (q.next()) {
      const auto at = std::find(mailbox_kinds.begin(), mailbox_kinds.end(), q.bytes(0));
      if (at != mailbox_kinds.end())
        out.mailboxes.at(static_cast<std::size_t>(at - mailbox_kinds.begin())).due_since = q.maybe_integer(1);
    }
  }
  {
    auto q = db_.run("SELECT reason, count(*) FROM (SELECT reason FROM dead_letters ORDER BY n DESC LIMIT ?) "
                     "GROUP BY reason",
                     most);
    while (q.next())
      out.dead_by_reason.emplace_back(q.bytes(0), q.count(1));
  }
  const auto file = db_.file();
  out.database_bytes = size_of(file);
  out.log_bytes = size_of(file.string() + "-wal");
  std::error_code failed;
  const auto space = std::filesystem::space(file, failed);
  out.disk_free_bytes = failed ? 0 : space.available;
  return out;
}

// Leaves the snapshot; what a failed end means shows at the next begin.
void leave(connection& db) {
  try {
    db.roll_back();
  } catch (const error&) {
  }
}

} // namespace

read_result read_snapshot(connection& db, const read_job& job) {
  read_result out;
  try {
    db.exec("BEGIN");
    snapshot view(db);
    job(view);
  } catch (const error& e) {
    out = {e.detail, e.corrupt()};
  } catch (const read_error& e) {
    out.failed = e.detail;
  } catch (const std::exception& e) {
    out.failed = e.what();
  } catch (...) {
    out.failed = "the read was broken off";
  }
  leave(db);
  return out;
}

} // namespace maru::storage::sqlite
