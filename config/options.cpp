#include "config/options.hpp"

#include <algorithm>
#include <span>

#include "config/address.hpp"
#include "config/values.hpp"

namespace maru::config {
namespace {

// `at` reaches the field: [](auto& s) -> auto& { return s.server.listen; }

template <class Owner, class At>
option<Owner> number(std::string_view key, At at, std::uint32_t least, std::uint32_t most,
                     std::string_view help) {
  return {key,
          shape::number,
          false,
          "a whole number from " + std::to_string(least) + " to " + std::to_string(most),
          help,
          [=](Owner& o, const written& v) {
            const auto n = std::get<std::int64_t>(v);
            if (n < least || n > most) return false;
            at(o) = static_cast<std::uint32_t>(n);
            return true;
          },
          [=](const Owner& o) -> written { return static_cast<std::int64_t>(at(o)); }};
}

template <class Owner, class At, class Check>
option<Owner> text(std::string_view key, At at, Check fits, std::string allowed, std::string_view help) {
  return {key,
          shape::text,
          false,
          std::move(allowed),
          help,
          [=](Owner& o, const written& v) {
            const auto& s = std::get<std::string>(v);
            if (!fits(s)) return false;
            at(o) = s;
            return true;
          },
          [=](const Owner& o) -> written { return std::string{at(o)}; }};
}

template <class Owner, class At, class Check>
option<Owner> list(std::string_view key, At at, Check fits, std::string allowed, std::string_view help) {
  return {key,
          shape::list,
          false,
          std::move(allowed),
          help,
          [=](Owner& o, const written& v) {
            const auto& all = std::get<std::vector<std::string>>(v);
            if (!fits(all)) return false;
            at(o) = all;
            return true;
          },
          [=](const Owner& o) -> written { return at(o); }};
}

template <class Value>
struct word_for {
  std::string_view word;
  Value value;
};

// `table` is static.
template <class Owner, class At, class Value, std::size_t Size>
option<Owner> choice(std::string_view key, At at, const word_for<Value> (&table)[Size],
                     std::string_view help) {
  const std::span<const word_for<Value>> words{table};
  std::string allowed;
  for (const auto& w : words)
    allowed += (allowed.empty() ? "" : " | ") + std::string{w.word};
  return {key,
          shape::text,
          false,
          std::move(allowed),
          help,
          [=](Owner& o, const written& v) {
            const auto found = std::ranges::find(words, std::get<std::string>(v), &word_for<Value>::word);
            if (found == words.end()) return false;
            at(o) = found->value;
            return true;
          },
          [=](const Owner& o) -> written {
            const auto found = std::ranges::find(words, at(o), &word_for<Value>::value);
            return std::string{found == words.end() ? std::string_view{} : found->word};
          }};
}

template <class Owner>
option<Owner> secret(option<Owner> o) {
  o.secret = true;
  return o;
}

using words = word_for<std::string_view>;

constexpr word_for<signup_mode> signups[] = {
    {"open", signup_mode::open}, {"invite", signup_mode::invite}, {"closed", signup_mode::closed}};
constexpr word_for<metrics_mode> scrapers[] = {
    {"loopback", metrics_mode::loopback}, {"all", metrics_mode::all}, {"off", metrics_mode::off}};
constexpr words levels[] = {
    {"trace", "trace"}, {"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}};
constexpr words formats[] = {{"text", "text"}, {"json", "json"}};
constexpr words kinds[] = {{"openai", "openai"}, {"demo", "demo"}};
constexpr word_for<bool> recoveries[] = {{"restart", false}, {"continue", true}};

constexpr std::uint32_t an_hour_ms = 3'600'000;
constexpr std::uint32_t a_million = 1'000'000;
constexpr std::uint32_t a_year_seconds = 31'536'000;

bool anything(const std::string&) { return true; }
bool something(const std::string& s) { return !s.empty(); }
template <auto Check>
bool empty_or(const std::string& s) {
  return s.empty() || Check(s);
}
template <auto Check>
bool each(const std::vector<std::string>& all) {
  return std::ranges::all_of(all, [](const std::string& s) { return Check(s); });
}

bool is_address(std::string_view s) { return parse_address(s).has_value(); }
bool some_addresses(const std::vector<std::string>& all) { return !all.empty() && each<is_address>(all); }

#define AT(field) ([](auto& s) -> auto& { return s.field; })

std::vector<option<settings>> make_server() {
  using s = settings;
  return {
      list<s>("server.listen", AT(server.listen), some_addresses,
              std::string{address_forms} + ", or a list of such",
              "Where clients connect. A socket file is for its owner and group, removed at the end and "
              "replaced when a killed server left it; what comes through it is not counted per address."),
      text<s>("server.data", AT(server.data), something, "a directory",
              "Directory of the embedded database and the attachments; made when it is missing."),
      text<s>("server.public_url", AT(server.public_url), empty_or<is_http_url>,
              "http://… or https://…, or empty",
              "Where clients reach the server when it stands behind a proxy."),
      text<s>("server.static", AT(server.static_dir), anything, "a directory, \"off\", or empty",
              "Directory of the browser client; empty: the built-in one; \"off\": none."),
      list<s>("server.cors_origins", AT(server.cors_origins), each<is_origin>,
              "scheme://host or scheme://host:port as browsers send it (lower case, no usual port, no path), "
              "or a "
              "list of such; never *, since replies are for whoever is signed in",
              "Origins from which a browser client that is hosted elsewhere may call."),
      choice<s>("server.metrics", AT(server.metrics), scrapers,
                "Who may read GET /metrics without a token: this machine, when no proxy stands between; "
                "everybody; nobody, with a token neither."),
      number<s>("server.threads", AT(server.threads), 0, 256,
                "Threads that serve connections and run actors; 0: one for each core."),
      number<s>("server.drain_ms", AT(server.drain_ms), 0, an_hour_ms,
                "How long SIGTERM waits for connections to close."),
      text<s>("storage.url", AT(storage.url), is_storage_url, "sqlite:FILE",
              "The database; a relative file is relative to server.data."),
      number<s>("storage.readers", AT(storage.readers), 1, 64, "Threads that read from the database."),
  };
}

std::vector<option<settings>> make_people() {
  using s = settings;
  return {
      choice<s>("auth.signup", AT(auth.signup), signups,
                "Who may sign up: everybody, those with an invite, nobody; `maru user add` works always."),
      number<s>("auth.access_token_seconds", AT(auth.access_token_seconds), 10, 86'400,
                "How long an access token is good for."),
      number<s>("auth.refresh_token_days", AT(auth.refresh_token_days), 1, 3650,
                "How long a device may stay away and still be logged in."),
      number<s>("auth.argon2_memory_kib", AT(auth.argon2_memory_kib), 1024, 4'194'304,
                "Memory that hashing one password takes."),
      number<s>("auth.argon2_passes", AT(auth.argon2_passes), 1, 64, "Passes over that memory."),
      number<s>("auth.argon2_threads", AT(auth.argon2_threads), 1, 64,
                "How many passwords are hashed at a time."),
      number<s>("limits.connections_per_user", AT(limits.connections_per_user), 0, a_million,
                "Open connections of one user; 0: no limit."),
      number<s>("limits.messages_per_minute_per_user", AT(limits.messages_per_minute_per_user), 0, a_million,
                "Messages of one user in a minute; 0: no limit."),
      number<s>("limits.questions_waiting_per_user", AT(limits.questions_waiting_per_user), 0, a_million,
                "Questions of one user that wait for their answer; 0: no limit."),
      number<s>("limits.calls_per_user", AT(limits.calls_per_user), 0, a_million,
                "Model calls that run for one user at a time; further ones wait their turn. 0: no limit."),
      number<s>("limits.requests_per_minute_per_address", AT(limits.requests_per_minute_per_address), 0,
                a_million,
                "Requests without a valid token from one address in a minute; 0: no limit, as is right "
                "behind a proxy, "
                "whose address all would share."),
      number<s>("limits.signups_per_minute_per_address", AT(limits.signups_per_minute_per_address), 0,
                a_million, "Sign-ups from one address in a minute; 0: no limit."),
      number<s>(
          "limits.question_expires_seconds", AT(limits.question_expires_seconds), 0, a_year_seconds,
          "How long a question may wait until its agent takes it up; then its answer fails as `expired`. "
          "0: for ever."),
      choice<s>("log.level", AT(log.level), levels, "The least important line that is logged."),
      choice<s>("log.format", AT(log.format), formats, "Lines for people or for machines."),
  };
}

std::vector<option<settings>> make_supervision() {
  using s = settings;
  constexpr std::uint32_t a_day_seconds = 86'400;
  std::vector<option<settings>> out;
  const auto subtree = [&](std::string_view restarts, std::string_view period, auto at,
                           std::string_view restarts_help, std::string_view period_help) {
    out.push_back(
        number<s>(restarts, [=](auto& o) -> auto& { return at(o).restarts; }, 1, a_million, restarts_help));
    out.push_back(number<s>(
        period, [=](auto& o) -> auto& { return at(o).period_seconds; }, 1, a_day_seconds, period_help));
  };
  subtree("supervision.root_restarts", "supervision.root_period_seconds", AT(supervision.root),
          "How often one part of the server may fall within root_period_seconds and is started again; once "
          "more, and the process ends with status 1.",
          "The period of root_restarts.");
  subtree("supervision.agents_restarts", "supervision.agents_period_seconds", AT(supervision.agents),
          "How many different agents may fall within agents_period_seconds; one more, and all are started "
          "anew.",
          "The period of agents_restarts.");
  subtree("supervision.users_restarts", "supervision.users_period_seconds", AT(supervision.users),
          "The same for the actors of people.", "The period of users_restarts.");
  subtree("supervision.rooms_restarts", "supervision.rooms_period_seconds", AT(supervision.rooms),
          "The same for rooms.", "The period of rooms_restarts.");
  subtree("supervision.sessions_restarts", "supervision.sessions_period_seconds", AT(supervision.sessions),
          "The same for the sessions of devices.", "The period of sessions_restarts.");
  out.push_back(number<s>("supervision.backoff_first_ms", AT(supervision.backoff_first_ms), 1, an_hour_ms,
                          "The wait before what fell starts again; doubles with each fall."));
  out.push_back(number<s>("supervision.backoff_most_ms", AT(supervision.backoff_most_ms), 1, an_hour_ms,
                          "The longest such wait."));
  out.push_back(number<s>("supervision.stuck_seconds", AT(supervision.stuck_seconds), 0, a_day_seconds,
                          "How long an actor may answer nobody, or its work may stand still, before it is "
                          "replaced; a thread that "
                          "handles nothing for so long ends the process. 0: for ever."));
  return out;
}

std::vector<option<provider_settings>> make_provider() {
  using p = provider_settings;
  constexpr std::string_view name_help = "What agents call it.";
  return {
      text<p>("name", AT(name), is_plain_name, "letters, digits, - and _, at most 64", name_help),
      choice<p>("kind", AT(kind), kinds,
                "The language it speaks: that of OpenAI's chat completions, or the built-in demonstration."),
      text<p>("url", AT(url), empty_or<is_http_url>, "http://… or https://…",
              "Where its API begins, with the version; the demonstration needs none."),
      secret(
          text<p>("api_key", AT(api_key), is_token, "printable ASCII without spaces",
                  "Sent as a bearer token; best as ${VARIABLE}, read from the environment. Never logged.")),
      text<p>("ca_file", AT(ca_file), anything, "a file, or empty",
              "Certificates to trust instead of the system's."),
      choice<p>("recovery", AT(continues), recoveries,
                "After a cut, begin the answer again or go on from its text; the latter only if the provider "
                "takes a "
                "partial answer."),
      number<p>("attempts", AT(attempts), 1, 100,
                "Calls made for one answer before the agent's next provider is asked, or the answer fails."),
      number<p>("answer_tokens", AT(answer_tokens), 0, 1000 * a_million,
                "What all attempts at one answer may cost together, in tokens: beyond it no further one is "
                "made. 0: no limit."),
      number<p>("answer_seconds", AT(answer_seconds), 0, a_year_seconds,
                "How long the calls for an answer may run, all attempts together. 0: no limit."),
      number<p>("calls", AT(calls), 0, a_million,
                "Calls that run at a time; further ones wait their turn, shared out fairly between users. "
                "0: no limit."),
      number<p>("waiting", AT(waiting), 0, a_million,
                "Calls that may wait; while so many do, new questions are refused as `overloaded`. 0: no "
                "limit."),
      number<p>("rest_after", AT(rest_after), 0, a_million,
                "Failures in a row after which it is left alone for a while and the agent's next provider is "
                "asked. 0: never."),
      number<p>("rest_first_ms", AT(rest_first_ms), 1, an_hour_ms,
                "How long it is left alone; then one call tries it. Doubles while that fails."),
      number<p>("rest_most_ms", AT(rest_most_ms), 1, an_hour_ms, "The longest it is left alone."),
      number<p>("connect_timeout_ms", AT(connect_timeout_ms), 1, an_hour_ms, "How long connecting may take."),
      number<p>("first_piece_timeout_ms", AT(first_piece_timeout_ms), 1, an_hour_ms,
                "How long the first piece of an answer may take."),
      number<p>("idle_timeout_ms", AT(idle_timeout_ms), 1, an_hour_ms, "How long a stream may say nothing."),
      number<p>("backoff_first_ms", AT(backoff_first_ms), 1, an_hour_ms,
                "The wait before the second attempt; doubles with each."),
      number<p>("backoff_most_ms", AT(backoff_most_ms), 1, an_hour_ms, "The longest such wait."),
      number<p>("pool", AT(pool), 0, 10'000, "Idle connections that are kept."),
      number<p>("demo_delay_ms", AT(demo_delay_ms), 0, 60'000, "The demonstration's pause between pieces."),
  };
}

std::vector<option<agent_settings>> make_agent() {
  using a = agent_settings;
  return {
      text<a>("name", AT(name), is_agent_name, "letters without spaces, / or @, at most 64 bytes",
              "What people call it. The first agent is the one a new room gets."),
      list<a>("provider", AT(providers), each<is_plain_name>, "the name of a provider, or a list of such",
              "Who runs it, in order of preference; without, the first provider."),
      text<a>("model", AT(model), anything, "text", "The model, as its provider names it."),
      text<a>("system_prompt", AT(system_prompt), anything, "text",
              "What the model is told before every question."),
      number<a>("context_tokens", AT(context_tokens), 64, 100 * a_million,
                "Budget of one request in tokens, without the answer."),
      number<a>("max_answer_tokens", AT(max_answer_tokens), 0, 100 * a_million,
                "The longest answer asked for; 0: the provider's own bound."),
      number<a>("calls", AT(calls), 0, a_million,
                "Its model calls that run at a time, in all rooms together; further ones wait their turn. 0: "
                "no limit."),
  };
}

#undef AT

std::string in_quotes(std::string_view s) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += {'\\',
              'u',
              '0',
              '0',
              hex[static_cast<unsigned char>(c) >> 4U],
              hex[static_cast<unsigned char>(c) & 15U]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

} // namespace

const std::vector<option<settings>>& plain_options() {
  static const auto all = [] {
    auto out = make_server();
    for (auto* more : {&make_people, &make_supervision})
      for (auto& o : more())
        out.push_back(std::move(o));
    return out;
  }();
  return all;
}

const std::vector<option<provider_settings>>& provider_options() {
  static const auto all = make_provider();
  return all;
}

const std::vector<option<agent_settings>>& agent_options() {
  static const auto all = make_agent();
  return all;
}

const std::vector<section>& sections() {
  static const std::vector<section> all{
      {"server", "Where the server is reached and how many threads it has."},
      {"storage", "Where everything durable is kept."},
      {"auth", "Accounts and their passwords."},
      {"limits", "What one user or one address may do. 0: no limit."},
      {"supervision", "What falls is started again: how often, how soon, and who counts as stuck."},
      {"log", "What the server writes to its standard error."},
  };
  return all;
}

std::string as_toml(const written& value) {
  if (const auto* n = std::get_if<std::int64_t>(&value)) return std::to_string(*n);
  if (const auto* s = std::get_if<std::string>(&value)) return in_quotes(*s);
  const auto& all = std::get<std::vector<std::string>>(value);
  if (all.size() == 1) return in_quotes(all.front());
  std::string out = "[";
  for (const auto& s : all)
    out += (out.size() > 1 ? ", " : "") + in_quotes(s);
  return out + ']';
}

std::string environment_name(std::string_view path) {
  std::string out = "MARU_";
  for (const char c : path)
    out += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

} // namespace maru::config
