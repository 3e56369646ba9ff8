#include "net/scrape.hpp"

#include <mutex>
#include <utility>

#include "config/limits.hpp"

namespace maru::net {
namespace {

// Of all workers; what the last of them adds completes it.
struct collecting {
  collecting(std::atomic<std::size_t>& running, std::size_t workers) : running(running), left(workers) {}
  collecting(const collecting&) = delete;
  collecting& operator=(const collecting&) = delete;
  ~collecting() { --running; }

  bool add(const net_totals& more) {
    const std::lock_guard lock{mutex};
    for (std::size_t i = 0; i < all.open.size(); ++i)
      all.open[i] += more.open[i];
    all.outbox_bytes += more.outbox_bytes;
    all.outbox_largest_bytes = std::max(all.outbox_largest_bytes, more.outbox_largest_bytes);
    return --left == 0;
  }

  std::atomic<std::size_t>& running;
  std::mutex mutex;
  net_totals all;
  std::size_t left;
};

void add_readings(std::vector<reading>& to, const net_totals& all) {
  for (std::size_t kind = 0; kind < all.open.size(); ++kind)
    to.push_back({metric::connections, static_cast<double>(all.open[kind]), kind});
  to.push_back({metric::outbox_bytes, static_cast<double>(all.outbox_bytes)});
  to.push_back({metric::outbox_largest_bytes, static_cast<double>(all.outbox_largest_bytes)});
}

http_reply busy() {
  return problem({code::overloaded, "the numbers cannot be had at the moment", limits::retry_after_ms});
}

http_reply rendered(const metrics& counts, std::vector<reading> readings, const net_totals& all) {
  if (readings.empty()) return busy();
  add_readings(readings, all);
  http_reply out;
  out.type = "text/plain; version=0.0.4; charset=utf-8";
  out.body = counts.render(readings);
  return out;
}

// The name in a Host header: a page that points its own name at this machine does not come through.
bool names_this_machine(std::string_view host) {
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
    host = host.substr(0, colon);
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

} // namespace

bool may_scrape(const config::settings& settings, const http_request& request) {
  switch (settings.server.metrics) {
  case config::metrics_mode::all:
    return true;
  case config::metrics_mode::loopback:
    return request.from_here && names_this_machine(request.host);
  default:
    return false;
  }
}

void scrape(hub& shared, std::function<void(http_reply)> done) {
  if (shared.scrapes.fetch_add(1) >= limits::scrapes_at_once) {
    --shared.scrapes;
    return done(busy());
  }
  const auto all = std::make_shared<collecting>(shared.scrapes, shared.workers.size());
  for (auto* const one : shared.workers)
    // What holds the hub goes last.
    one->post([one = one->shared_from_this(), done, all] {
      net_totals here;
      one->count(here);
      if (!all->add(here)) return;
      auto& with = one->shared().with;
      with.front.observe([done, all, counts = with.counts](std::vector<reading> readings) {
        done(rendered(*counts, std::move(readings), all->all));
      });
    });
}

} // namespace maru::net
