#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <variant>

#include "actors/wire.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "config/settings.hpp"
#include "net/address_limits.hpp"
#include "net/assets.hpp"
#include "net/headers.hpp"
#include "net/http.hpp"
#include "net/tickets.hpp"

namespace maru::net {

// What the routes work with.
struct route_context {
  actors::front& front;
  const config::settings& settings;
  const clock& time;
  asset_lookup assets;
  std::atomic<bool> draining{false};
  net::tickets tickets;
  address_limits addresses;
  standing_headers standing;
  std::shared_ptr<metrics> counts;
};

// A reply that is there at once, or a question to the actors and how to put their answer.
struct call {
  std::string token;
  actors::api::request what;
  std::function<http_reply(const actors::api::reply&)> render;
  std::size_t reply_bytes = 0; // it may come to that many: there has to be room before it is asked for
};

// A reply that goes on: a room's frames as server-sent events, for whom the token belongs to.
struct stream_call {
  std::string token;
  actors::open_in what;
};

// The numbers of the server, see scrape.hpp. With a token: once the actors have said that it may have them.
struct scrape_wanted {
  std::string token;
};
using step = std::variant<http_reply, call, stream_call, scrape_wanted>;

// `counted_as`: the place of its route in route_names().
step route(route_context& with, const http_request& request, std::size_t& counted_as);
// The last place: what matches no route and is no file.
std::size_t no_route();

// 429 for an address that has asked too much: come again in so many milliseconds.
http_reply too_many_requests(std::uint32_t wait_ms);
bool refuses_token(const actors::api::reply& what);
// How a stream's reply begins.
http_reply stream_reply();

// Who may open a WebSocket: what identify() said, as a close code where it was refused.
close_code close_code_for(const refusal& why);

} // namespace maru::net
