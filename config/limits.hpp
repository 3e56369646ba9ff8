#pragma once

#include <cstddef>
#include <cstdint>

// Every bound that is not an option, with its unit last in its name and its reason.
namespace maru::limits {

// What a client may send. The contract names these two; the frame leaves room for the escaped form.
inline constexpr std::size_t message_text_bytes = 262'144;
inline constexpr std::size_t frame_in_bytes = 1'048'576;
inline constexpr std::size_t http_body_bytes = frame_in_bytes;
inline constexpr std::size_t http_bodies_bytes = 67'108'864;   // of all requests that are still coming in
inline constexpr std::size_t http_replies_bytes = 268'435'456; // of all replies that wait for their readers
inline constexpr std::size_t http_small_reply_bytes = 4096;    // has its place always: refusals, acks
inline constexpr std::size_t big_buffer_bytes = 65'536;        // goes back to the system when it is freed
inline constexpr std::size_t http_header_bytes = 16'384;       // a browser with cookies needs 4 kB
inline constexpr std::size_t json_depth = 32;                  // our deepest frame has 4 levels

// What an answer may grow to; the contract names it.
inline constexpr std::size_t answer_text_bytes = 4'194'304;

inline constexpr std::size_t title_chars = 200;
inline constexpr std::size_t username_chars = 64;
inline constexpr std::size_t display_name_chars = 100;
inline constexpr std::size_t role_chars = 20;            // longer than the name of any
inline constexpr std::size_t password_bytes_most = 1024; // Argon2 reads all of it
inline constexpr std::size_t password_chars_least = 8;
inline constexpr std::size_t generated_password_chars = 20; // 116 bits
inline constexpr std::size_t agents_per_message = 16;

// Pages.
inline constexpr std::size_t events_page = 500;             // the contract names it
inline constexpr std::size_t events_page_bytes = 2'097'152; // a page of big answers stays a page
inline constexpr std::size_t rooms_page = 100;
inline constexpr std::size_t users_page = 200;         // a row is under 1 kB
inline constexpr std::size_t mailboxes_page = 200;     // of mailboxes, entries and dead letters
inline constexpr std::size_t dead_treated = 100;       // requeued, or purged, in one request: some seconds
inline constexpr std::size_t mailbox_name_chars = 200; // an agent's has 110 at most
inline constexpr std::size_t replay_page = 200;        // events a session reads at a time
inline constexpr std::size_t replay_page_bytes = 2'097'152; // a quarter of an outbox
inline constexpr std::size_t open_default_events = 50;      // `open` without `after`; the contract names it

// What is read to tell a model what went before.
inline constexpr std::size_t context_events = 400;
inline constexpr std::size_t bytes_per_token_most = 8;       // beyond this no text fits the token budget
inline constexpr std::size_t event_bytes_around_text = 1024; // ids, usage and names in an event's data

inline constexpr std::uint32_t minute_ms = 60'000; // the rates' unit
inline constexpr std::int64_t day_ms = 86'400'000; // the unit of refresh tokens' lives

// What is scheduled: posted later, once or again and again.
inline constexpr std::size_t scheduled_text_bytes = 16'384; // a list reads them all
inline constexpr std::size_t scheduled_per_room = 100;      // its mailbox: read whole when the room starts
inline constexpr std::size_t scheduled_per_person = 50;     // in all rooms; each may call models for ever
inline constexpr std::uint32_t scheduled_gap_minutes = 5;   // the shortest between two turns: models cost
inline constexpr std::int64_t scheduled_ahead_ms = 366 * day_ms; // what is further away is mostly a slip
inline constexpr std::int64_t scheduled_late_ms = 60'000; // a clock that is slow, a request that took long
inline constexpr std::size_t cron_chars = 200;
inline constexpr std::size_t time_chars = 64;       // of a point in time, as text
inline constexpr std::size_t zone_chars = 64;       // the longest of the IANA database has 32
inline constexpr std::size_t scheduled_at_once = 8; // read and ordered in one go; each up to 256 kB of text
inline constexpr std::uint32_t postponed_first_ms = 1'000; // then as long again as it is late already
inline constexpr std::uint32_t postponed_most_ms = 60'000;

// What may wait inside.
inline constexpr std::size_t room_commits_under_way = 4096; // posts of one room between order and disk
inline constexpr std::size_t room_answers_unfinished = 512; // each holds its text in memory
inline constexpr std::size_t agent_questions_waiting = 256; // of one agent in one room
inline constexpr std::size_t room_recent_commands = 1024;   // resends found without reading
inline constexpr std::size_t room_commands_at_start = 64;   // of these; reading all takes milliseconds
inline constexpr std::size_t commands_read_for_one = 16;    // of all rooms, for each of one room's
inline constexpr std::size_t store_queue_bytes = 268'435'456;
inline constexpr std::size_t commit_group_steps = 1024; // one transaction
inline constexpr std::size_t reads_waiting = 65'536;
inline constexpr std::size_t password_jobs_waiting = 256; // each costs tens of ms
inline constexpr std::size_t session_rooms_open = 1000;
inline constexpr std::size_t watch_buffer_bytes = 4'194'304; // live frames while a replay is read

// News of rooms that are not open, for lists.
inline constexpr std::uint32_t news_ms = 250;           // one `room` frame for each room in this time
inline constexpr std::size_t news_rooms_in_a_row = 256; // told in one go: live frames wait meanwhile
inline constexpr std::size_t brief_event_bytes = 1'024; // data of a `last` event that is not cut
inline constexpr std::size_t brief_text_bytes = 512;    // of its text where it is

inline constexpr std::size_t user_commands_under_way = 8192; // of all devices of a person

// A connection.
inline constexpr std::size_t outbox_bytes = 8'388'608;     // beyond it: 4508
inline constexpr std::size_t outbox_low_bytes = 1'048'576; // replay goes on below this
inline constexpr std::size_t commands_under_way = 2048;    // the credit window
inline constexpr std::size_t command_bytes_under_way = 4'194'304;
inline constexpr std::uint32_t hello_timeout_ms = 10'000;
// What was checked may say hello this long after: a ticket's life, the wait for hello, the way to a session.
inline constexpr std::int64_t identity_to_session_ms = 120'000;
inline constexpr std::uint32_t http_idle_timeout_ms = 60'000;
inline constexpr std::uint32_t http_request_timeout_ms = 30'000; // a whole request has to come in this time
inline constexpr std::uint32_t heartbeat_ms = 30'000;
inline constexpr std::uint32_t write_timeout_ms = 30'000;
inline constexpr std::uint32_t stream_comment_ms = 15'000; // on an event stream; the contract names it
inline constexpr std::uint32_t stream_retry_ms = 2'000;    // below it, at random: not all come back at once
// A whole reply has write_timeout_ms and the time that this rate gives: a piece now and then is not enough.
inline constexpr std::int64_t http_read_bytes_per_second_least = 16'384;

// What net/ keeps and how long it waits.
inline constexpr std::size_t outbox_merge_frames = 1024; // how far back a waiting delta looks for its like
inline constexpr std::size_t outbox_gather_frames =
    256; // in one write; up to three parts each, the kernel takes 1024
inline constexpr std::uint32_t attach_timeout_ms = 10'000; // from hello to a session, inside the server
inline constexpr std::uint32_t close_timeout_ms = 3'000;   // what a peer may take for the closing handshake
inline constexpr std::uint32_t heartbeats_missed = 2;      // then the peer counts as gone
inline constexpr std::uint32_t http_reply_timeout_ms = 60'000; // what the actors may take for a reply
inline constexpr std::uint32_t net_tick_ms = 250;              // how exactly net/ keeps its times
inline constexpr std::uint32_t accept_pause_ms = 100;          // when the process is out of descriptors
inline constexpr std::size_t addresses_remembered = 65'536; // whose requests are counted; each some 150 bytes
inline constexpr std::uint32_t ticket_ms = 60'000;          // the contract names it
inline constexpr std::uint32_t preflight_kept_seconds = 7'200; // what browsers take at most
inline constexpr std::size_t tickets = 65'536; // each some 300 bytes; more than sign in within a minute
inline constexpr std::size_t read_chunk_bytes = 16'384;     // of a long message or body
inline constexpr std::size_t read_buffer_kept_bytes = 1023; // by an idle connection
inline constexpr std::size_t static_bytes = 268'435'456;    // a client is held in memory
inline constexpr std::size_t client_settings_bytes = 65'536;
inline constexpr std::size_t cursor_chars = 200;
inline constexpr std::size_t token_bytes = 4096; // access and refresh tokens, nonces
inline constexpr std::size_t client_name_chars = 200;
inline constexpr std::size_t echoed_id_bytes = 256; // of a refused frame's id
inline constexpr std::size_t request_id_chars = 64;
inline constexpr std::size_t local_reply_bytes = 4'194'304; // more than the longest page a command asks for
inline constexpr std::uint32_t local_patience_ms = 30'000;  // of a command: passwords are hashed in turn

// Being watched: what a scrape of /metrics may cost.
inline constexpr std::size_t scrapes_at_once = 4;         // each is some 200 kB of text
inline constexpr std::uint32_t observed_store_ms = 5'000; // no scrape reads the store sooner after another
inline constexpr std::size_t observed_rows = 10'000;      // counted in the store; some ms of a reader
inline constexpr std::uint32_t probe_patience_ms = 1'000; // then the actor's wait so far is told
inline constexpr std::size_t probed_children = 16;        // of one nursery, others at each scrape
inline constexpr std::size_t probes_under_way = 1024;     // to actors that do not answer

// Times of the actors.
inline constexpr std::uint32_t session_linger_ms = 60'000;
inline constexpr std::uint32_t stop_patience_ms = 1'000; // for the text that only the agent knows
inline constexpr std::uint32_t room_missing_ms = 1'000;  // ids are guessed, too
inline constexpr std::uint32_t room_idle_ms = 60'000;
inline constexpr std::uint32_t reads_kept_ms = 2'000; // what somebody has read, before it goes to the store
inline constexpr std::uint32_t reads_told_ms = 2'000; // the same, before a relay tells the room
inline constexpr std::uint32_t agent_idle_ms = 60'000;
inline constexpr std::uint32_t user_idle_ms = 120'000;
inline constexpr std::uint32_t sweep_ms = 1'000;
inline constexpr std::size_t mailboxes_per_sweep = 10'000; // what a node can have at work
inline constexpr std::uint32_t resend_after_ms = 50;       // before asking for a fallen actor again

// Checkpoints of a streaming answer; the contract promises at most this much is lost.
inline constexpr std::uint32_t checkpoint_ms = 100;
inline constexpr std::uint32_t checkpoint_pieces = 64;

// The embedded database.
inline constexpr std::uint32_t database_busy_ms = 5'000;  // a backup tool may hold the lock for a moment
inline constexpr std::uint32_t database_watch_ms = 1'000; // an idle store looks whether its files are there
inline constexpr std::size_t database_cache_kib = 32'768; // of each connection
inline constexpr std::size_t database_write_bytes = 126'976; // of the log; SQLite's writes end at 128 KiB
inline constexpr int database_log_pages = 16'384;            // 64 MiB of log, then it is moved into the file
inline constexpr int database_log_most_pages = 131'072;      // beyond it readers are waited for
inline constexpr std::size_t database_log_kept_bytes =
    67'108'864; // a log that grew once shrinks again to this

// What a refused client is told to wait, and how long an actor waits before it commits again.
inline constexpr std::uint32_t retry_after_ms = 1'000;
inline constexpr std::uint32_t commit_again_ms = 1'000;
inline constexpr std::uint32_t passivated_most = 3; // times that whom one wants to join was just leaving
inline constexpr std::uint32_t room_redo_most = 3;  // times a command is ordered anew after a conflict

// How many messages an actor handles before others get the thread: unlimited by default, which starves them.
inline constexpr std::size_t actor_messages_in_a_row = 300;
inline constexpr std::size_t loop_jobs_in_a_row = 64;      // then the sockets have a turn
inline constexpr std::size_t loop_handlers_in_a_row = 256; // of sockets; then the actors have theirs
inline constexpr std::size_t loop_backlog = 8;             // jobs; from here on an idle loop helps

// Failures.
inline constexpr std::uint32_t poison_failures = 5; // an entry that killed its actor this often
inline constexpr std::uint32_t losses_without_wait =
    5; // with a whole process; from then on it may be the cause
inline constexpr std::uint32_t loss_backoff_first_ms = 1'000;
inline constexpr std::uint32_t loss_backoff_most_ms = 60'000;
inline constexpr std::uint32_t restarts_of_one = 5;   // of one name in a nursery; then its longest wait
inline constexpr std::uint32_t child_stop_ms = 2'000; // then it is killed
inline constexpr std::size_t nursery_crashes_remembered = 4096; // of names not started again since
inline constexpr std::size_t nursery_asks_waiting = 1024;       // for one name during its backoff
inline constexpr std::size_t directory_asks_waiting = 65'536;   // for all names
inline constexpr std::uint32_t look_ms = 1'000; // between two looks of a supervisor at its children
inline constexpr std::uint32_t looks_around =
    10; // a nursery has looked at each child: thousands cost some ms
inline constexpr std::uint32_t looks_in_vain_least = 2; // a machine that slept has missed one
inline constexpr std::uint32_t looks_to_die =
    5; // of one that is killed; then nothing but the process's end helps
inline constexpr std::uint32_t given_up_ms = 600'000; // then the root ends by itself
inline constexpr std::size_t tree_children = 1000;    // of one supervisor; the troubled come first

// Signing in.
inline constexpr std::size_t account_requests_under_way = 4096;
inline constexpr std::size_t refresh_nonce_bytes = 128;     // clients use a UUID
inline constexpr std::uint32_t refresh_rounds_most = 4;     // times a refresh is judged anew after a conflict
inline constexpr std::size_t identities_cached = 10'000;    // each some 300 bytes
inline constexpr std::uint32_t identity_cached_ms = 60'000; // a changed role is seen by then
inline constexpr std::uint32_t token_clock_slack_ms =
    60'000; // a clock set back by no more than this does no harm
inline constexpr std::uint32_t logout_grace_ms = 86'400'000; // an expired access token still ends its family
inline constexpr std::uint32_t notify_attempts_most = 20;    // to reach a user's actor about a revoked family
inline constexpr std::size_t refreshes_dropped_per_step = 500; // some ms of the writer's time
inline constexpr std::uint32_t drop_again_ms = 100;            // between such steps: others write, too
inline constexpr std::uint32_t provider_retry_after_most_ms = 60'000;

// Outgoing calls to models.
inline constexpr std::uint32_t call_positions_ms =
    1'000;                                               // between two looks at the places of those that wait
inline constexpr std::uint32_t positions_told = 100;     // of one provider: further back it moves too fast
inline constexpr std::uint32_t line_positions_told = 16; // of the questions behind each other in a room
inline constexpr std::size_t call_shares_spare =
    64; // of people who wait no more, before they are looked through
inline constexpr std::uint32_t call_wait_told_least_ms =
    1'000; // what is refused for them may come again after
inline constexpr std::uint32_t call_wait_told_most_ms = 60'000;
inline constexpr std::size_t provider_line_bytes =
    1'048'576; // a line, or an event, of its stream; real ones have 300
inline constexpr std::size_t provider_read_bytes =
    8'192; // one read of a stream; each stream holds such a buffer
inline constexpr std::size_t provider_error_body_bytes = 8'192; // read to find the error's code
inline constexpr std::size_t provider_settle_bytes = 65'536;    // read after [DONE], to keep the connection
inline constexpr std::uint32_t provider_last_words_ms =
    2'000; // for usage after the finish reason, or an error's body
inline constexpr std::uint32_t provider_idle_connection_ms = 60'000; // a kept connection older is not used
inline constexpr std::size_t provider_word_chars = 64;               // a finish reason or an error's code
inline constexpr std::size_t provider_model_bytes = 200;             // a model's name
inline constexpr std::uint32_t ollama_probe_ms = 300; // a start without configuration waits for it
inline constexpr std::size_t ollama_list_bytes = 1'048'576;

} // namespace maru::limits
