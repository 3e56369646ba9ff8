#include "storage/sqlite_apply.hpp"

#include <array>
#include <set>

#include "config/limits.hpp"
#include "storage/sqlite_rows.hpp"

namespace maru::storage::sqlite {

namespace {

constexpr std::array<std::string_view, std::variant_size_v<part>> operations{
    "apply:create_account",    "apply:update_account", "apply:keep_an_admin",
    "apply:create_family",     "apply:revoke_family",  "apply:revoke_account_families",
    "apply:add_refresh",       "apply:use_refresh",    "apply:drop_expired",
    "apply:put_key",           "apply:create_room",    "apply:change_room",
    "apply:add_member",        "apply:remove_member",  "apply:mark_read",
    "apply:append_event",      "apply:record_command", "apply:open_answer",
    "apply:expect_unanswered", "apply:begin_attempt",  "apply:end_answer",
    "apply:append_checkpoint", "apply:enqueue",        "apply:remove_entry",
    "apply:defer_entry",       "apply:repeat_entry",   "apply:bury_entry",
    "apply:requeue_dead",      "apply:purge_dead"};

outcome conflict(std::string detail) { return {failure::conflict, std::move(detail), std::nullopt}; }

// For a statement that must have met its row.
outcome expect(int changed, const char* otherwise) { return changed == 0 ? conflict(otherwise) : outcome{}; }

// --- accounts ---------------------------------------------------------------------------------------------

bool no_accounts(connection& db) { return !db.run("SELECT 1 FROM accounts LIMIT 1").next(); }

outcome run(connection& db, const create_account& p) {
  const auto& r = p.row;
  const std::string role = p.first_is_admin && no_accounts(db) ? "admin" : r.role;
  return expect(db.exec("INSERT INTO accounts VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", r.id,
                        r.login, r.username, r.display_name, r.password_hash, role, r.settings, r.created_at),
                "this login is taken");
}

outcome run(connection& db, const update_account& p) {
  const auto& r = p.row;
  return expect(db.exec("UPDATE accounts SET login = ?, username = ?, display_name = ?, password_hash = ?, "
                        "role = ?, settings = ? WHERE id = ?",
                        r.login, r.username, r.display_name, r.password_hash, r.role, r.settings, r.id),
                "no such account");
}

outcome run(connection& db, const keep_an_admin&) {
  if (db.run("SELECT 1 FROM accounts WHERE role = 'admin' LIMIT 1").next()) return {};
  return conflict("no account would be an admin");
}

outcome run(connection& db, const create_family& p) {
  db.exec("INSERT INTO families VALUES(?, ?, ?, ?)", p.row.id, p.row.account, p.row.created_at,
          p.row.revoked_at);
  return {};
}

outcome run(connection& db, const revoke_family& p) {
  db.exec("UPDATE families SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", p.at, p.family);
  return {};
}

outcome run(connection& db, const revoke_account_families& p) {
  db.exec("UPDATE families SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL AND id IS NOT ?", p.at,
          p.account, p.keep);
  return {};
}

outcome run(connection& db, const add_refresh& p) {
  const auto& r = p.row;
  db.exec("INSERT INTO refreshes VALUES(?, ?, ?, ?, ?, ?, ?)", blob{r.hash}, r.family, r.account,
          r.expires_at, r.used_at, r.nonce, blob{r.successor});
  return {};
}

outcome run(connection& db, const use_refresh& p) {
  return expect(db.exec("UPDATE refreshes SET used_at = ?, nonce = ?, successor = ? "
                        "WHERE hash = ? AND used_at IS NULL",
                        p.at, p.nonce, blob{p.successor}, blob{p.hash}),
                "this refresh token is unknown or used");
}

outcome run(connection& db, const drop_expired& p) {
  std::vector<std::string> tokens;
  std::set<uuid> families;
  {
    auto q = db.run("SELECT hash, family FROM refreshes WHERE expires_at < ?1 AND NOT EXISTS "
                    "(SELECT 1 FROM families WHERE id = family AND revoked_at >= ?1) "
                    "ORDER BY expires_at LIMIT ?2",
                    p.before, limits::refreshes_dropped_per_step);
    while (q.next()) {
      tokens.push_back(q.bytes(0));
      families.insert(q.id(1));
    }
  }
  if (tokens.empty()) return conflict("nothing has expired");
  for (const auto& hash : tokens)
    db.exec("DELETE FROM refreshes WHERE hash = ?", blob{hash});
  for (const auto& family : families)
    db.exec("DELETE FROM families WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM refreshes WHERE family = ?1)",
            family);
  return {};
}

outcome run(connection& db, const put_key& p) {
  db.exec("INSERT OR REPLACE INTO keys VALUES(?, ?, ?)", p.row.id, blob{p.row.secret}, p.row.created_at);
  return {};
}

// --- rooms ------------------------------------------------------------------------------------------------

outcome run(connection& db, const create_room& p) {
  const auto& r = p.row;
  db.exec("INSERT INTO rooms(id, title, agents, created_by, created_at, head, floor, active_at) "
          "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
          r.id, r.title, agents_text(r.agents), r.created_by, r.created_at, r.head, r.floor, r.active_at);
  return {};
}

outcome run(connection& db, const change_room& p) {
  std::optional<std::string> agents;
  if (p.agents) agents = agents_text(*p.agents);
  return expect(db.exec("UPDATE rooms SET title = coalesce(?, title), agents = coalesce(?, agents) "
                        "WHERE id = ?",
                        p.title, agents, p.room),
                "no such room");
}

outcome run(connection& db, const add_member& p) {
  const auto& r = p.row;
  if (db.exec("UPDATE rooms SET members = members + 1 WHERE id = ?", r.room) == 0)
    return conflict("no such room");
  db.exec("INSERT INTO members VALUES(?, ?, ?, ?, ?)", r.room, r.account, r.role, r.joined_at, r.last_read);
  return {};
}

outcome run(connection& db, const remove_member& p) {
  if (db.exec("DELETE FROM members WHERE room = ? AND account = ?", p.room, p.account) != 0)
    db.exec("UPDATE rooms SET members = members - 1 WHERE id = ?", p.room);
  return {};
}

outcome run(connection& db, const mark_read& p) {
  for (const auto& m : p.marks)
    db.exec("UPDATE members SET last_read = ?1 WHERE room = ?2 AND account = ?3 AND last_read < ?1", m.seq,
            p.room, m.account);
  return {};
}

// --- events and answers -----------------------------------------------------------------------------------

outcome run(connection& db, const append_event& p) {
  const auto& r = p.row;
  const std::uint32_t is_turn = r.kind == "message" || r.kind == "answer" ? 1 : 0;
  // The head first: it refuses before anything is written.
  if (db.exec("UPDATE rooms SET head = ?1, active_at = ?2, tail = CASE WHEN ?3 THEN ?1 ELSE tail END "
              "WHERE id = ?4 AND head = ?1 - 1",
              r.seq, r.at, is_turn, r.room) == 0)
    return conflict("event " + std::to_string(r.seq) + " does not follow the head of its room");
  db.exec("INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", r.room, r.seq, r.id, r.kind, r.at,
          r.author.kind, r.author.id, r.author.name, r.parent, r.reply_to, r.data);
  return {};
}

outcome run(connection& db, const record_command& p) {
  const auto& r = p.row;
  if (db.exec("INSERT INTO commands VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", r.room, r.seq,
              r.author, r.id, blob{r.mark}, r.event, r.answers) != 0)
    return {};
  auto q = db.run("SELECT " MARU_COMMAND_COLUMNS " FROM commands WHERE room = ? AND author = ? AND id = ?",
                  r.room, r.author, r.id);
  if (!q.next()) return conflict("a command without its index");
  return {failure::duplicate, "this command was taken before", command_of(q)};
}

outcome run(connection& db, const open_answer& p) {
  const auto& r = p.row;
  db.exec("INSERT INTO answers VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", r.id, r.room, r.question,
          r.question_seq, r.agent, r.asker, r.attempt, r.provider_failures, r.end_seq, r.end_event, r.spent);
  return {};
}

outcome run(connection& db, const expect_unanswered& p) {
  auto q = db.run("SELECT 1 FROM answers a LEFT JOIN events e ON e.room = a.room AND e.seq = a.end_seq "
                  "WHERE a.question = ? AND a.agent = ? AND (a.end_seq IS NULL OR e.kind = 'answer') LIMIT 1",
                  p.question, p.agent);
  return q.next() ? conflict("this agent answers, or has answered, this question") : outcome{};
}

outcome run(connection& db, const begin_attempt& p) {
  if (db.exec("UPDATE answers SET attempt = ?, provider_failures = ?, spent = spent || ? "
              "WHERE id = ? AND end_seq IS NULL",
              p.attempt, p.provider_failures, p.spent, p.answer) == 0)
    return conflict("this answer has ended");
  db.exec("DELETE FROM checkpoints WHERE answer = ? AND attempt <> ?", p.answer, p.attempt);
  return {};
}

outcome run(connection& db, const end_answer& p) {
  if (db.exec("UPDATE answers SET end_seq = ?, end_event = ?, spent = spent || ? "
              "WHERE id = ? AND end_seq IS NULL",
              p.seq, p.event, p.spent, p.answer) == 0)
    return conflict("this answer has ended");
  db.exec("DELETE FROM checkpoints WHERE answer = ?", p.answer);
  return {};
}

outcome run(connection& db, const append_checkpoint& p) {
  const auto& r = p.row;
  return expect(db.exec("INSERT INTO checkpoints SELECT ?1, ?2, ?3, ?4 FROM answers "
                        "WHERE id = ?1 AND attempt = ?2 AND end_seq IS NULL AND ?5 = "
                        "(SELECT coalesce(max(n), 0) FROM checkpoints WHERE answer = ?1 AND attempt = ?2)",
                        r.answer, r.attempt, r.n, r.text, p.after),
                "this answer has ended, a newer attempt has begun, or a piece is missing");
}

// --- mailboxes --------------------------------------------------------------------------------------------

outcome run(connection& db, const enqueue& p) {
  const auto& e = p.entry;
  db.exec("INSERT INTO entries(mailbox, id, kind, body, enqueued_at, visible_at, expires_at, failures, "
          "losses, owner) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          e.mailbox, e.id, e.kind, e.body, e.enqueued_at, e.visible_at, e.expires_at, e.failures, e.losses,
          e.owner);
  return {};
}

outcome run(connection& db, const remove_entry& p) {
  return expect(db.exec("DELETE FROM entries WHERE id = ? AND mailbox = ?", p.id, p.mailbox),
                "no such entry");
}

outcome run(connection& db, const defer_entry& p) {
  return expect(db.exec("UPDATE entries SET visible_at = ?, failures = ?, losses = ? "
                        "WHERE id = ? AND mailbox = ?",
                        p.visible_at, p.failures, p.losses, p.id, p.mailbox),
                "no such entry");
}

outcome run(connection& db, const repeat_entry& p) {
  return expect(db.exec("UPDATE entries SET visible_at = ?, body = ?, failures = 0, losses = 0 "
                        "WHERE id = ? AND mailbox = ? AND visible_at = ?",
                        p.visible_at, p.body, p.id, p.mailbox, p.was),
                "this entry does not wait for this turn");
}

outcome run(connection& db, const bury_entry& p) {
  if (db.exec("INSERT OR REPLACE INTO dead_letters(" MARU_ENTRY_COLUMNS ", reason, at) "
              "SELECT " MARU_ENTRY_COLUMNS ", ?, ? FROM entries WHERE id = ? AND mailbox = ?",
              p.reason, p.at, p.id, p.mailbox) == 0)
    return conflict("no such entry");
  db.exec("DELETE FROM entries WHERE id = ? AND mailbox = ?", p.id, p.mailbox);
  return {};
}

outcome run(connection& db, const requeue_dead& p) {
  // A fresh start: with its old failures or its old expiry it would be dead again at once.
  if (db.exec("INSERT INTO entries(mailbox, id, kind, body, enqueued_at, visible_at, expires_at, failures, "
              "losses, owner) SELECT mailbox, id, kind, body, enqueued_at, ?, NULL, 0, 0, owner "
              "FROM dead_letters WHERE id = ?",
              p.visible_at, p.id) == 0)
    return conflict("no such dead letter");
  db.exec("DELETE FROM dead_letters WHERE id = ?", p.id);
  return {};
}

outcome run(connection& db, const purge_dead& p) {
  return expect(db.exec("DELETE FROM dead_letters WHERE id = ?", p.id), "no such dead letter");
}

// --- weights: what may be long is counted -----------------------------------------------------------------

std::size_t names(const std::vector<std::string>& list) {
  std::size_t sum = 0;
  for (const auto& name : list)
    sum += sizeof(name) + name.size();
  return sum;
}

std::size_t of_account(const account_row& r) {
  return r.login.size() + r.username.size() + r.display_name.size() + r.settings.size();
}

constexpr std::size_t short_strings_bytes = 128; // names, hashes, kinds

template <class Part>
std::size_t text_of(const Part&) {
  return 0;
}
std::size_t text_of(const create_account& p) { return of_account(p.row); }
std::size_t text_of(const update_account& p) { return of_account(p.row); }
std::size_t text_of(const create_room& p) { return p.row.title.size() + names(p.row.agents); }
std::size_t text_of(const change_room& p) {
  return (p.title ? p.title->size() : 0) + (p.agents ? names(*p.agents) : 0);
}
std::size_t text_of(const mark_read& p) { return p.marks.size() * sizeof(read_mark); }
std::size_t text_of(const append_event& p) { return p.row.data.size(); }
std::size_t text_of(const record_command& p) { return p.row.answers.size(); }
std::size_t text_of(const append_checkpoint& p) { return p.row.text.size(); }
std::size_t text_of(const enqueue& p) { return p.entry.body.size(); }
std::size_t text_of(const repeat_entry& p) { return p.body.size(); }
std::size_t text_of(const bury_entry& p) { return p.reason.size(); }

} // namespace

std::string_view operation_of(const part& p) { return operations[p.index()]; }

std::size_t weight_of(const step& s) {
  std::size_t sum = sizeof(step) + short_strings_bytes;
  for (const auto& p : s.parts)
    sum += sizeof(part) + short_strings_bytes + std::visit([](const auto& x) { return text_of(x); }, p);
  return sum;
}

outcome check_fence(connection& db, const fence& under) {
  auto q = db.run("SELECT epoch FROM leases WHERE shard = ?", under.shard);
  if (!q.next()) return {failure::fenced, "no such shard", std::nullopt};
  if (q.count(0) == under.epoch) return {};
  return {failure::fenced, "another owner has taken shard " + std::to_string(under.shard), std::nullopt};
}

outcome apply(connection& db, const part& p) {
  return std::visit([&db](const auto& x) { return run(db, x); }, p);
}

} // namespace maru::storage::sqlite
