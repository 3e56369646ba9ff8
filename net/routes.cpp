#include "net/routes.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "config/limits.hpp"
#include "net/api_json.hpp"
#include "net/cors.hpp"
#include "net/decode.hpp"
#include "net/json_out.hpp"
#include "net/scrape.hpp"
#include "net/static_files.hpp"
#include "net/url.hpp"

namespace maru::net {
namespace {

namespace api = actors::api;

// What a handler is given. `ids` are what stands for the {} of its pattern, in order.
struct visit {
  route_context& with;
  const http_request& request;
  const target& where;
  std::vector<uuid> ids;
};
using handler = step (*)(const visit&);

// Renders the reply expected, and whatever else came.
template <class Expected, class Render>
std::function<http_reply(const api::reply&)> expecting(Render render) {
  return [render](const api::reply& reply) {
    if (const auto* expected = std::get_if<Expected>(&reply)) return render(*expected);
    if (const auto* why = std::get_if<refusal>(&reply)) return problem(*why);
    return problem({code::internal, "", 0});
  };
}

template <class Decoded, class Render>
step ask(const visit& v, Decoded&& what, Render render) {
  if (!what) return problem(what.error());
  return call{bearer_token(v.request.authorization), api::request{std::move(*what)}, std::move(render)};
}

template <class Expected>
auto rendered(int status) {
  return expecting<Expected>([status](const Expected& what) { return json_reply(status, to_json(what)); });
}

http_reply no_content() {
  http_reply out;
  out.status = 204;
  return out;
}

// --- sign-in -------------------------------------------------------------------------------------------

bool by_https(const config::settings& settings) { return settings.server.public_url.starts_with("https:"); }

// With the prefix no page of a neighbour, and nobody between, can put a cookie of their own in its place;
// browsers take the prefix by https alone. `__Host-` would want the path to be /, and the cookie sent with
// every file.
std::string_view cookie_name(const config::settings& settings) {
  return by_https(settings) ? "__Secure-maru_refresh" : "maru_refresh";
}

std::string refresh_cookie(const config::settings& settings, std::string_view value, bool keep) {
  std::string out{cookie_name(settings)};
  out.append("=").append(value).append("; HttpOnly; SameSite=Strict; Path=/api/v1; Max-Age=");
  out += std::to_string(keep ? std::uint64_t{settings.auth.refresh_token_days} * 24 * 60 * 60 : 0);
  if (by_https(settings)) out += "; Secure";
  return out;
}

std::string refresh_token_in(const visit& v) {
  return cookie_value(v.request.cookie, cookie_name(v.with.settings));
}

// A page of a stranger must not sign a browser in as somebody else: it gets no cookie.
auto signed_in(const visit& v, int status) {
  const bool browser = v.request.from_browser || !refresh_token_in(v).empty();
  const bool keeps = browser && !is_foreign(v.with.settings, v.request);
  return expecting<api::signed_in>([status, keeps, &settings = v.with.settings](const api::signed_in& what) {
    auto out = json_reply(status, to_json(what));
    if (keeps) out.headers.emplace_back("Set-Cookie", refresh_cookie(settings, what.refresh_token, true));
    return out;
  });
}

step post_signup(const visit& v) { return ask(v, decode_signup(v.request.body), signed_in(v, 201)); }
step post_login(const visit& v) { return ask(v, decode_login(v.request.body), signed_in(v, 200)); }

// A browser sends the cookie along whoever's page asks; SameSite lets those of neighbours through.
bool is_forged(const visit& v, std::string_view cookie, std::string_view token) {
  return !cookie.empty() && token == cookie && bearer_token(v.request.authorization).empty() &&
         is_foreign(v.with.settings, v.request);
}

http_reply refuse_forged() { return problem({code::forbidden, "another site asks, by the cookie alone", 0}); }

step post_refresh(const visit& v) {
  const auto cookie = refresh_token_in(v);
  auto what = decode_refresh(v.request.body, cookie);
  if (what && is_forged(v, cookie, what->refresh_token)) return refuse_forged();
  return ask(v, std::move(what), signed_in(v, 200));
}

step post_logout(const visit& v) {
  const auto cookie = refresh_token_in(v);
  auto what = decode_logout(v.request.body, cookie);
  if (what && is_forged(v, cookie, what->refresh_token)) return refuse_forged();
  const bool had_cookie = !cookie.empty();
  return ask(v, std::move(what),
             expecting<api::nothing>([had_cookie, &settings = v.with.settings](const api::nothing&) {
               auto out = no_content();
               if (had_cookie) out.headers.emplace_back("Set-Cookie", refresh_cookie(settings, "", false));
               return out;
             }));
}

// --- negotiate -----------------------------------------------------------------------------------------

std::optional<std::string> socket_base(const config::settings& settings, std::string_view host) {
  if (auto base = public_socket(settings); !base.empty()) return base;
  const auto fine = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view{"-._:[]"}.find(c) != std::string_view::npos;
  };
  if (host.empty() || !std::all_of(host.begin(), host.end(), fine)) return std::nullopt;
  return "ws://" + std::string{host};
}

step post_negotiate(const visit& v) {
  const auto base = socket_base(v.with.settings, v.request.host);
  if (!base) return problem({code::invalid_field, "Host must name this server", 0});
  const auto render = [base = *base, &with = v.with](const actors::identity& who) {
    const auto ticket = with.tickets.give(who, with.time.steady_ms());
    if (!ticket) return problem({code::overloaded, "too many tickets are out", 0});
    std::string out;
    object{out}
        .text("url", base + "/ws?ticket=" + *ticket)
        .text("token", *ticket)
        .text("expires_at", rfc3339(with.time.unix_ms() + limits::ticket_ms))
        .end();
    return json_reply(200, std::move(out));
  };
  return ask(v, result<api::identify>{api::identify{}}, expecting<actors::identity>(render));
}

// --- the rest of the API -------------------------------------------------------------------------------

step get_me(const visit& v) {
  return ask(v, result<api::get_me>{api::get_me{}}, rendered<api::profile>(200));
}
step patch_me(const visit& v) {
  return ask(v, decode_change_me(v.request.body), rendered<api::profile>(200));
}
step get_agents(const visit& v) {
  return ask(v, result<api::list_agents>{api::list_agents{}}, rendered<api::agents_view>(200));
}
step get_rooms(const visit& v) { return ask(v, decode_list_rooms(v.where), rendered<api::rooms_view>(200)); }
step post_room(const visit& v) {
  return ask(v, decode_create_room(v.request.body), rendered<api::room_view>(201));
}
step get_room(const visit& v) {
  return ask(v, result<api::get_room>{api::get_room{v.ids[0]}}, rendered<api::room_view>(200));
}

step get_events(const visit& v) {
  const auto room = v.ids[0];
  auto out = ask(v, decode_get_events(room, v.where),
                 expecting<api::events_view>(
                     [room](const api::events_view& what) { return json_reply(200, to_json(room, what)); }));
  if (auto* question = std::get_if<call>(&out)) question->reply_bytes = limits::events_page_bytes;
  return out;
}

step post_message(const visit& v) {
  return ask(v, decode_post_message(v.ids[0], v.request.body), rendered<api::posted>(202));
}
step post_stop(const visit& v) {
  return ask(v, decode_stop_answer(v.ids[0], v.ids[1], v.request.body), rendered<api::posted>(202));
}

step post_retry(const visit& v) {
  return ask(v, decode_retry_answer(v.ids[0], v.ids[1], v.request.body), rendered<api::posted>(202));
}

step get_answer(const visit& v) {
  return ask(v, result<api::get_answer>{api::get_answer{v.ids[0], v.ids[1]}},
             rendered<api::answer_view>(200));
}
step get_schedule(const visit& v) {
  return ask(v, result<api::list_scheduled>{api::list_scheduled{v.ids[0]}},
             rendered<api::scheduled_view>(200));
}
step post_schedule(const visit& v) {
  return ask(
      v, decode_schedule(v.ids[0], v.request.body),
      expecting<api::posted>([](const api::posted& what) { return json_reply(201, scheduled_json(what)); }));
}
step delete_scheduled(const visit& v) {
  return ask(v, result<api::cancel_scheduled>{api::cancel_scheduled{v.ids[0], v.ids[1]}},
             expecting<api::posted>([](const api::posted&) { return no_content(); }));
}

// A HEAD is told what a GET would be, and nothing is opened.
step get_stream(const visit& v) {
  const auto what = decode_get_stream(v.ids[0], v.where, v.request.last_event_id);
  if (!what) return problem(what.error());
  if (v.request.head)
    return ask(v, result<api::get_room>{api::get_room{v.ids[0]}},
               expecting<api::room_view>([](const api::room_view&) { return stream_reply(); }));
  return stream_call{bearer_token(v.request.authorization), *what};
}

step get_tree(const visit& v) {
  return ask(
      v, result<api::get_tree>{api::get_tree{}},
      expecting<api::tree_view>([](const api::tree_view& what) { return json_reply(200, what.json); }));
}

step get_users(const visit& v) { return ask(v, decode_list_users(v.where), rendered<api::users_view>(200)); }
step post_user(const visit& v) {
  return ask(v, decode_add_user(v.request.body), rendered<api::user_view>(201));
}
step patch_user(const visit& v) {
  return ask(v, decode_change_user(v.ids[0], v.request.body), rendered<api::user_view>(200));
}

step get_mailboxes(const visit& v) {
  return ask(v, decode_list_mailboxes(v.where), rendered<api::mailboxes_view>(200));
}
step get_entries(const visit& v) {
  return ask(v, decode_list_entries(v.where), rendered<api::entries_view>(200));
}
step delete_entry(const visit& v) {
  return ask(v, result<api::purge_entry>{api::purge_entry{v.ids[0]}}, rendered<api::treated>(200));
}
step get_dead_letters(const visit& v) {
  return ask(v, decode_list_dead(v.where), rendered<api::dead_list_view>(200));
}
step get_dead_letter(const visit& v) {
  return ask(v, result<api::get_dead>{api::get_dead{v.ids[0]}}, rendered<api::dead_view>(200));
}
step requeue_dead_letter(const visit& v) {
  return ask(v, result<api::treat_dead>{api::treat_dead{api::dead_act::requeue, v.ids[0]}},
             rendered<api::posted>(202));
}
step delete_dead_letter(const visit& v) {
  return ask(v, result<api::treat_dead>{api::treat_dead{api::dead_act::purge, v.ids[0]}},
             rendered<api::treated>(200));
}
step requeue_dead_letters(const visit& v) {
  return ask(v, decode_treat_all_dead(api::dead_act::requeue, v.request.body), rendered<api::treated>(200));
}
step purge_dead_letters(const visit& v) {
  return ask(v, decode_treat_all_dead(api::dead_act::purge, v.request.body), rendered<api::treated>(200));
}

// --- health --------------------------------------------------------------------------------------------

step get_healthz(const visit&) { return json_reply(200, R"({"status":"ok"})"); }

step get_readyz(const visit& v) {
  if (v.with.draining) return problem({code::overloaded, "the server is going down", 0});
  if (!v.with.front.ready()) return problem({code::overloaded, "the server is not ready", 0});
  if (v.with.front.degraded())
    return json_reply(200, R"({"status":"degraded","reason":"storage_unavailable"})");
  return json_reply(200, R"({"status":"ready"})");
}

// For those who may not there is nothing here.
step get_metrics(const visit& v) {
  if (may_scrape(v.with.settings, v.request)) return scrape_wanted{};
  const auto token = bearer_token(v.request.authorization);
  if (token.empty() || v.with.settings.server.metrics == config::metrics_mode::off)
    return problem({code::not_found, "", 0});
  return scrape_wanted{token};
}

// An upgrade does not come this far.
step get_ws(const visit&) {
  auto out = problem({code::invalid_field, "this address takes WebSocket upgrades only", 0}, 426);
  out.headers.emplace_back("Upgrade", "websocket");
  return out;
}

// --- the table -----------------------------------------------------------------------------------------

// What a request has to bring, and how it counts against its address.
enum class needs : std::uint8_t {
  nothing, // and is free: whoever watches over the server must not be refused
  address, // counts
  signup,  // counts twice, as what it is, too
  token,   // counts only when the token is refused
  metrics, // free for those who may; for others as `token` or `address`
};

struct entry {
  std::string_view method, pattern; // {} is an id
  needs before;
  handler answer;
};

constexpr entry table[] = {
    {"POST", "/api/v1/signup", needs::signup, post_signup},
    {"POST", "/api/v1/login", needs::address, post_login},
    {"POST", "/api/v1/refresh", needs::address, post_refresh},
    {"POST", "/api/v1/logout", needs::address, post_logout},
    {"POST", "/api/v1/negotiate", needs::token, post_negotiate},
    {"GET", "/api/v1/me", needs::token, get_me},
    {"PATCH", "/api/v1/me", needs::token, patch_me},
    {"GET", "/api/v1/agents", needs::token, get_agents},
    {"GET", "/api/v1/rooms", needs::token, get_rooms},
    {"POST", "/api/v1/rooms", needs::token, post_room},
    {"GET", "/api/v1/rooms/{}", needs::token, get_room},
    {"GET", "/api/v1/rooms/{}/events", needs::token, get_events},
    {"GET", "/api/v1/rooms/{}/stream", needs::token, get_stream},
    {"POST", "/api/v1/rooms/{}/messages", needs::token, post_message},
    {"POST", "/api/v1/rooms/{}/answers/{}/stop", needs::token, post_stop},
    {"GET", "/api/v1/rooms/{}/answers/{}", needs::token, get_answer},
    {"POST", "/api/v1/rooms/{}/answers/{}/retry", needs::token, post_retry},
    {"GET", "/api/v1/rooms/{}/schedule", needs::token, get_schedule},
    {"POST", "/api/v1/rooms/{}/schedule", needs::token, post_schedule},
    {"DELETE", "/api/v1/rooms/{}/schedule/{}", needs::token, delete_scheduled},
    {"GET", "/api/v1/admin/tree", needs::token, get_tree},
    {"GET", "/api/v1/admin/users", needs::token, get_users},
    {"POST", "/api/v1/admin/users", needs::token, post_user},
    {"PATCH", "/api/v1/admin/users/{}", needs::token, patch_user},
    {"GET", "/api/v1/admin/mailboxes", needs::token, get_mailboxes},
    {"GET", "/api/v1/admin/mailboxes/entries", needs::token, get_entries},
    {"DELETE", "/api/v1/admin/mailboxes/entries/{}", needs::token, delete_entry},
    {"GET", "/api/v1/admin/dead-letters", needs::token, get_dead_letters},
    {"GET", "/api/v1/admin/dead-letters/{}", needs::token, get_dead_letter},
    {"DELETE", "/api/v1/admin/dead-letters/{}", needs::token, delete_dead_letter},
    {"POST", "/api/v1/admin/dead-letters/{}/requeue", needs::token, requeue_dead_letter},
    {"POST", "/api/v1/admin/dead-letters/requeue", needs::token, requeue_dead_letters},
    {"POST", "/api/v1/admin/dead-letters/purge", needs::token, purge_dead_letters},
    {"GET", "/ws", needs::address, get_ws},
    {"GET", "/healthz", needs::nothing, get_healthz},
    {"GET", "/readyz", needs::nothing, get_readyz},
    {"GET", "/metrics", needs::metrics, get_metrics},
};

std::string_view next_segment(std::string_view& path) {
  path.remove_prefix(1);
  const auto out = path.substr(0, path.find('/'));
  path.remove_prefix(out.size());
  return out;
}

bool matches(std::string_view pattern, std::string_view path, std::vector<uuid>& ids) {
  ids.clear();
  while (!pattern.empty() && !path.empty()) {
    const auto wanted = next_segment(pattern);
    const auto given = next_segment(path);
    if (wanted != "{}") {
      if (wanted != given) return false;
      continue;
    }
    const auto id = uuid::parse(given);
    if (!id) return false;
    ids.push_back(*id);
  }
  return pattern.empty() && path.empty();
}

http_reply wrong_method(const std::string& allowed) {
  auto out = problem({code::method_not_allowed, "this address takes " + allowed, 0});
  out.headers.emplace_back("Allow", allowed);
  return out;
}

// --- who asks ------------------------------------------------------------------------------------------

const entry* find_entry(std::string_view method, std::string_view path, std::vector<uuid>& ids,
                        std::string& allowed) {
  for (const auto& one : table) {
    if (!matches(one.pattern, path, ids)) continue;
    if (one.method == method) return &one;
    allowed.append(allowed.empty() ? "" : ", ").append(one.method == "GET" ? "GET, HEAD" : one.method);
  }
  return nullptr;
}

// How long before the address may ask this; 0: at once, and it is counted.
std::uint32_t to_wait(route_context& with, address_key from, needs what, bool by_token) {
  const auto now = with.time.steady_ms();
  if (what == needs::nothing) return 0;
  if (by_token) return with.addresses.wait_with_token(from, now);
  const auto wait = with.addresses.take_request(from, now);
  return wait > 0 || what != needs::signup ? wait : with.addresses.take_signup(from, now);
}

// What the actors say to the token is noted where they say it.
void note_token(route_context& with, address_key from, call& question) {
  question.render = [&with, from, render = std::move(question.render)](const api::reply& got) {
    with.addresses.token_was(!refuses_token(got), from, with.time.steady_ms());
    return render(got);
  };
}

step not_in_table(route_context& with, const http_request& request, const target& where,
                  const std::string& allowed, std::size_t& counted_as) {
  if (allowed.empty()) {
    auto out = static_file(with.assets, request, where.path);
    if (!out) return wrong_method("GET, HEAD");
    if (out->status != 404) counted_as = no_route() - 1;
    return std::move(*out);
  }
  if (auto allowing = preflight(with.settings, request, allowed)) return std::move(*allowing);
  return wrong_method(allowed);
}

needs what_it_needs(const route_context& with, const http_request& request, const entry* found) {
  if (found == nullptr) return needs::address;
  if (found->before != needs::metrics) return found->before;
  if (may_scrape(with.settings, request)) return needs::nothing;
  return bearer_token(request.authorization).empty() ? needs::address : needs::token;
}

} // namespace

step route(route_context& with, const http_request& request, std::size_t& counted_as) {
  const auto where = parse_target(request.target);
  std::string allowed;
  std::vector<uuid> ids;
  const auto* found = where ? find_entry(request.method, where->path, ids, allowed) : nullptr;
  counted_as = found != nullptr ? static_cast<std::size_t>(found - std::begin(table)) : no_route();
  const auto before = what_it_needs(with, request, found);
  const bool by_token = before == needs::token && !bearer_token(request.authorization).empty();
  if (const auto wait = to_wait(with, request.from, before, by_token)) {
    with.counts->add(metric::http_rate_limited);
    return too_many_requests(wait);
  }
  if (!where) return problem({code::invalid_field, "the address is malformed", 0});
  if (found == nullptr) return not_in_table(with, request, *where, allowed, counted_as);
  if (before == needs::token && !by_token) return problem({code::unauthenticated, "", 0});
  auto out = found->answer({with, request, *where, std::move(ids)});
  if (by_token)
    if (auto* question = std::get_if<call>(&out)) note_token(with, request.from, *question);
  return out;
}

http_reply stream_reply() {
  http_reply out;
  out.type = "text/event-stream";
  out.sized = false;
  out.headers.emplace_back("X-Accel-Buffering", "no"); // nginx passes each event on as it comes
  return out;
}

std::vector<std::string> route_names() {
  std::vector<std::string> out;
  for (const auto& one : table) {
    auto name = std::string{one.method} + " " + std::string{one.pattern};
    for (std::size_t at = 0; (at = name.find("{}", at)) != std::string::npos;)
      name.replace(at, 2, "{id}");
    out.push_back(std::move(name));
  }
  out.insert(out.end(), {"static", "other"});
  return out;
}

std::size_t no_route() { return std::size(table) + 1; }

http_reply too_many_requests(std::uint32_t wait_ms) {
  return problem({code::rate_limited, "too many requests from this address", wait_ms});
}

bool refuses_token(const api::reply& what) {
  const auto* why = std::get_if<refusal>(&what);
  return why != nullptr && why->why == code::unauthenticated;
}

close_code close_code_for(const refusal& why) {
  switch (why.why) {
  case code::unauthenticated:
    return close_code::token_refused;
  case code::forbidden:
    return close_code::forbidden;
  default:
    return close_code::overloaded;
  }
}

} // namespace maru::net
