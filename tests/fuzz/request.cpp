#include <algorithm>
#include <set>

#include <boost/beast/http/parser.hpp>
#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "net/http_message.hpp"
#include "net/routes.hpp"
#include "tests/fuzz/input.hpp"

// A request as it comes from a socket, to its reply. Two readings of one request never differ; a reply's head
// has the lines that were meant, its body is JSON.
namespace maru::fuzz {
namespace {

namespace http = boost::beast::http;
namespace api = actors::api;
using parser = http::request_parser<http::string_body>;

class still final : public clock {
public:
  [[nodiscard]] std::int64_t unix_ms() const override { return 1'700'000'000'000; }
  [[nodiscard]] std::int64_t steady_ms() const override { return 1; }
};

class nobody final : public actors::front {
public:
  void call(std::string, api::request, api::replied) override {
    holds(false, "a route asks nobody by itself");
  }
  void hello(actors::connection_ptr, actors::identity, actors::hello_in) override {}
  void observe(actors::observed) override {}
  [[nodiscard]] bool ready() const override { return true; }
  [[nodiscard]] bool degraded() const override { return false; }
};

config::settings made_settings() {
  config::settings out;
  out.server.cors_origins = {"https://chat.example"};
  out.limits.requests_per_minute_per_address = 0;
  out.limits.signups_per_minute_per_address = 0;
  return out;
}

struct house {
  still time;
  nobody front;
  config::settings settings = made_settings();
  net::asset_file page{"index.html", "<html></html>"};
  net::route_context with{front,
                          settings,
                          time,
                          net::fixed_assets(std::span{&page, 1}),
                          false,
                          {},
                          net::address_limits{settings.limits},
                          net::standing_for(settings),
                          counts()};

  // Its table costs more than all the rest.
  static std::shared_ptr<metrics> counts() {
    static const auto one = std::make_shared<metrics>();
    return one;
  }
};

// As the connection reads. Nothing: it is malformed, or not whole.
std::optional<net::request_message> read(const std::vector<std::string>& pieces) {
  parser out;
  out.eager(true);
  out.header_limit(static_cast<std::uint32_t>(limits::http_header_bytes));
  out.body_limit(limits::http_body_bytes);
  std::string held;
  for (const auto& piece : pieces) {
    held += piece;
    while (!held.empty() && !out.is_done()) {
      boost::system::error_code failed;
      const auto used = out.put(boost::asio::buffer(held), failed);
      held.erase(0, used);
      if (failed == http::error::need_more) break;
      if (failed) return std::nullopt;
      if (used == 0) break;
    }
    if (out.is_header_done() && net::is_ambiguous(out.get())) return std::nullopt;
  }
  if (!out.is_done()) return std::nullopt;
  return out.release();
}

void check_head(const net::http_reply& reply) {
  const auto head = net::head_of(reply, {1'700'000'000'000, "id", false, true, ""});
  const std::size_t ours = 4 + (reply.type.empty() ? 0 : 1) +
                           (reply.sized ? (reply.status != 204 && reply.status != 304 ? 1 : 0) : 1);
  std::size_t lines = 0;
  for (std::size_t at = 0; at + 2 < head.size(); ++lines) {
    const auto end = head.find("\r\n", at);
    holds(!has_controls(std::string_view{head}.substr(at, end - at)), "a head's line is one line");
    at = end + 2;
  }
  holds(lines == ours + reply.headers.size(), "a head has the lines that were meant");
  holds(reply.status >= 200 && reply.status < 600, "a status is one");
  const bool json = reply.type == "application/json" || reply.type == "application/problem+json";
  if (json) holds(is_json(reply.body), "a body is JSON");
  if (reply.status == 429 || reply.status == 503)
    holds(std::ranges::count(reply.headers, "Retry-After", [](auto& h) { return h.first; }) == 1,
          "whoever is to wait is told how long");
}

std::vector<api::reply> some_replies() {
  api::room_view room;
  room.room.title = "a \"title\"\n";
  room.last.emplace().data = R"({"text":"t"})";
  api::events_view events;
  events.events.push_back(*room.last);
  return {refusal{code::not_found, "", 0},
          api::nothing{},
          api::signed_in{},
          api::profile{},
          actors::identity{},
          api::agents_view{{{"maru", "m"}}},
          room,
          api::rooms_view{{room}, "next"},
          events,
          api::posted{{}, 1, false, {{{}, "maru"}}},
          api::tree_view{"{}"},
          api::user_view{},
          api::users_view{{{}}, ""}};
}

void check(const net::step& out) {
  if (const auto* reply = std::get_if<net::http_reply>(&out)) return check_head(*reply);
  const auto* call = std::get_if<net::call>(&out);
  if (call == nullptr) return;
  holds(call->token.size() <= limits::token_bytes, "a token is bounded");
  static const auto replies = some_replies();
  for (const auto& one : replies)
    check_head(call->render(one));
}

bool same(const net::request_message& a, const net::request_message& b) {
  return a.method_string() == b.method_string() && a.target() == b.target() && a.body() == b.body() &&
         std::distance(a.begin(), a.end()) == std::distance(b.begin(), b.end());
}

} // namespace

void one_input(std::string_view bytes) {
  house at;
  parts in{bytes};
  std::vector<std::size_t> cuts{in.up_to(bytes.size()), in.up_to(bytes.size())};
  const auto stream = in.rest();
  const auto message = read({std::string{stream}});
  const auto again = read(in_pieces(stream, cuts));
  holds(message.has_value() == again.has_value(), "cuts do not decide whether it is a request");
  if (!message) return;
  holds(same(*message, *again), "nor what it says");
  holds(message->body().size() <= limits::http_body_bytes, "a body is bounded");
  auto request = net::seen(*message, 0);
  for (const auto& value : {request.origin, request.host, request.cookie, request.authorization})
    holds(value.find_first_of(std::string_view{"\r\n\0", 3}) == value.npos, "a field is one line");
  request.body = message->body();
  net::wants_websocket(*message);
  net::is_handshake(*message);
  request.from_here = !net::came_through_proxy(*message);
  std::size_t counted_as = 0;
  check(net::route(at.with, request, counted_as));
  holds(counted_as <= net::no_route(), "a request is counted as something");
}

} // namespace maru::fuzz
