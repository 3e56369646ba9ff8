#pragma once

// Rows of the tables as values. Each list of columns stands beside the function that reads it.

#include "storage/sqlite_statement.hpp"

namespace maru::storage::sqlite {

#define MARU_ACCOUNT_COLUMNS "id, login, username, display_name, password_hash, role, settings, created_at"
account_row account_of(const query& q);

#define MARU_ROOM_COLUMNS "r.id, r.title, r.agents, r.created_by, r.created_at, r.head, r.floor, r.active_at"
inline constexpr int room_columns = 8;
room_row room_of(const query& q);

#define MARU_MEMBER_COLUMNS "room, account, role, joined_at, last_read"
member_row member_of(const query& q);

#define MARU_EVENT_COLUMNS                                                                                   \
  "e.room, e.seq, e.id, e.kind, e.at, e.author_kind, e.author_id, e.author_name, e.parent, e.reply_to, "     \
  "e.data"
event_row event_of(const query& q);

#define MARU_COMMAND_COLUMNS "room, author, id, mark, seq, event, answers"
command_row command_of(const query& q);

#define MARU_ANSWER_COLUMNS                                                                                  \
  "id, room, question, question_seq, agent, asker, attempt, provider_failures, end_seq, end_event, spent"
answer_row answer_of(const query& q);

#define MARU_ENTRY_COLUMNS                                                                                   \
  "mailbox, seq, id, kind, body, enqueued_at, visible_at, expires_at, failures, losses, owner"
inline constexpr int entry_columns = 11;
mailbox_entry entry_of(const query& q);

std::string agents_text(const std::vector<std::string>& agents);

} // namespace maru::storage::sqlite
