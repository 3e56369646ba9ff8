#pragma once

// GET /metrics. Private to net/.

#include <functional>

#include "net/worker.hpp"

namespace maru::net {

// Who may read the numbers without a token: [server] metrics, and what came from this machine by itself.
bool may_scrape(const config::settings& settings, const http_request& request);

// Asks the workers and the actors and calls `done` with the reply, on some thread that must not be held.
// Called on a worker's thread. No more than limits::scrapes_at_once are under way.
void scrape(hub& shared, std::function<void(http_reply)> done);

} // namespace maru::net
