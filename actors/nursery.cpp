#include "actors/nursery.hpp"

#include <algorithm>
#include <tuple>

#include <caf/exit_reason.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

nursery_state::~nursery_state() {
  for (auto& [_, c] : children) {
    for (auto& p : c.waiting)
      p.deliver(caf::make_error(caf::sec::request_receiver_down));
    // After an exception in the nursery itself.
    if (c.handle) caf::anon_send_exit(c.handle, caf::exit_reason::kill);
  }
}

nursery_state::promise nursery_state::find(const std::string& child_name) {
  auto asked = self->make_response_promise<caf::strong_actor_ptr>();
  if (ending) return asked.deliver(caf::make_error(caf::sec::request_receiver_down));
  forget_old();
  auto& c = children[child_name];
  if (c.handle) return asked.deliver(c.handle);
  if (c.waiting.size() >= limits::nursery_asks_waiting)
    return asked.deliver(caf::make_error(caf::sec::runtime_error, "too many ask for " + child_name));
  c.waiting.push_back(asked);
  if (c.crashed && options.time->steady_ms() < c.ready_at)
    wake(child_name, c);
  else
    start(child_name, c);
  return asked;
}

void nursery_state::start(const std::string& child_name, child& c) {
  std::string why = "could not be started";
  try {
    c.handle = options.start(self, child_name, c.crashed);
  } catch (const std::exception& e) {
    why += std::string{": "} + e.what();
  }
  auto waiting = std::move(c.waiting);
  c.waiting.clear();
  if (!c.handle) {
    for (auto& p : waiting)
      p.deliver(caf::make_error(caf::sec::runtime_error, child_name + " " + why));
    return fell(child_name, c, why, "start");
  }
  if (c.crashed) spdlog::warn("{}/{} starts again after: {}", options.name, child_name, c.last_error);
  c.crashed = false;
  c.watch = {};
  c.stuck.clear();
  living[caf::actor_cast<caf::actor_addr>(c.handle)] = &*children.find(child_name);
  self->monitor(c.handle);
  for (auto& p : waiting)
    p.deliver(c.handle);
}

void nursery_state::went_down(const caf::down_msg& down) {
  const auto it = living.find(down.source);
  if (it == living.end()) return;
  auto& [child_name, c] = *it->second;
  living.erase(it);
  c.handle = nullptr;
  if (ending) return end_if_empty();
  const bool orderly = !down.reason || down.reason == caf::exit_reason::user_shutdown;
  if (!c.stuck.empty())
    fell(child_name, c, std::exchange(c.stuck, ""), "stuck");
  else if (orderly)
    forget_if_calm(child_name);
  else
    fell(child_name, c, self->system().render(down.reason), reason_word(down.reason));
  forget_old();
}

void nursery_state::fell(const std::string& child_name, child& c, const std::string& why,
                         std::string_view reason) {
  count_end(*options.counts, child_kind(options.name), reason);
  const auto now = options.time->steady_ms();
  c.history.add(now, options.how.one);
  ++c.restarts;
  c.last_error = why;
  c.last_error_at = options.time->unix_ms();
  c.crashed = true;
  c.ready_at = now + c.history.backoff_ms(now, options.random(), options.how.one);
  spdlog::warn("{}/{} ended: {}", options.name, child_name, why);
  recent.push_back({now, child_name});
  ++recent_of[child_name];
  crashed.push_back(child_name);
  const auto& bound = options.how.subtree;
  if (recent_of.size() > bound.restarts)
    end(caf::make_error(caf::sec::runtime_error, std::to_string(recent_of.size()) +
                                                     " of its children fell within " +
                                                     std::to_string(bound.period_seconds) + " s, at last " +
                                                     options.name + "/" + child_name + ": " + why));
}

void nursery_state::wake(const std::string& child_name, child& c) {
  if (c.waking) return;
  c.waking = true;
  self->delayed_anon_send(nursery_self{self},
                          std::chrono::milliseconds{c.ready_at - options.time->steady_ms()},
                          nursery_tick{nursery_wake::start, child_name});
}

void nursery_state::tick(const nursery_tick& tick) {
  if (tick.why == nursery_wake::look) return look();
  if (tick.why == nursery_wake::insist) {
    for (const auto& [_, c] : children)
      if (c.handle) self->send_exit(c.handle, caf::exit_reason::kill);
    self->delayed_anon_send(nursery_self{self}, std::chrono::milliseconds{limits::child_stop_ms},
                            nursery_tick{nursery_wake::give_up_waiting, ""});
    return;
  }
  if (tick.why == nursery_wake::give_up_waiting) {
    spdlog::error("{}: {} do not stop; they are left behind", options.name, living.size());
    return self->quit(*ending);
  }
  const auto it = children.find(tick.name);
  if (ending || it == children.end()) return;
  auto& c = it->second;
  c.waking = false;
  if (c.handle || c.waiting.empty()) return forget_if_calm(tick.name);
  if (options.time->steady_ms() < c.ready_at) return wake(tick.name, c);
  start(tick.name, c);
}

void nursery_state::end(caf::error why) {
  if (ending) return;
  ending = std::move(why);
  for (auto& [_, c] : children) {
    for (auto& p : c.waiting)
      p.deliver(caf::make_error(caf::sec::request_receiver_down));
    c.waiting.clear();
    if (c.handle) self->send_exit(c.handle, caf::exit_reason::user_shutdown);
  }
  self->delayed_anon_send(nursery_self{self}, std::chrono::milliseconds{limits::child_stop_ms},
                          nursery_tick{nursery_wake::insist, ""});
  end_if_empty();
}

void nursery_state::end_if_empty() {
  if (living.empty()) self->quit(*ending);
}

// What crashed is remembered until it is started again, within a bound; then for the window.
void nursery_state::forget_old() {
  const auto now = options.time->steady_ms();
  while (!recent.empty() && recent.front().at + period_ms() <= now) {
    const auto child_name = std::move(recent.front().name);
    recent.pop_front();
    if (const auto it = recent_of.find(child_name); it != recent_of.end() && --it->second == 0)
      recent_of.erase(it);
    forget_if_calm(child_name);
  }
  while (crashed.size() > limits::nursery_crashes_remembered) {
    const auto child_name = std::move(crashed.front());
    crashed.pop_front();
    const auto it = children.find(child_name);
    if (it == children.end() || std::find(crashed.begin(), crashed.end(), child_name) != crashed.end())
      continue;
    it->second.crashed = false;
    forget_if_calm(child_name);
  }
}

void nursery_state::forget_if_calm(const std::string& child_name) {
  const auto it = children.find(child_name);
  if (it == children.end()) return;
  auto& c = it->second;
  if (c.handle || c.crashed || !c.waiting.empty() || recent_of.contains(child_name)) return;
  children.erase(it);
}

std::uint32_t nursery_state::looks_most() const {
  if (options.how.stuck_ms == 0) return 0;
  return std::max(limits::looks_in_vain_least,
                  options.how.stuck_ms / (limits::look_ms * limits::looks_around));
}

// At a part of the living each time, so that it has seen each of them in looks_around.
void nursery_state::look() {
  if (ending) return;
  look_later();
  disk.look(options.how.store);
  if (++looks % limits::looks_around == 0) next_bucket = 0;
  const auto now = options.time->steady_ms();
  const auto buckets = living.bucket_count();
  for (auto left = buckets / limits::looks_around + 1; left > 0 && next_bucket < buckets;
       --left, ++next_bucket)
    for (auto it = living.begin(next_bucket); it != living.end(next_bucket); ++it)
      look_at(it->second->first, it->second->second, now);
}

void nursery_state::look_later() {
  self->delayed_anon_send(nursery_self{self}, std::chrono::milliseconds{limits::look_ms},
                          nursery_tick{nursery_wake::look, ""});
}

void nursery_state::look_at(const std::string& child_name, child& c, std::int64_t now) {
  if (!c.stuck.empty()) {
    // It does not even hear that it is to end, and whoever has its handle waits for it.
    if (++c.looks_since == limits::looks_in_vain_least && options.gave_up)
      options.gave_up(options.name + "/" + child_name + " " + c.stuck + " and cannot be ended");
    return;
  }
  const auto stuck = c.watch.look(now, looks_most(), [&] {
    probe(self, c.handle, [this](const auto& who, const auto& what) { answered(who, what); });
  });
  if (stuck) replace(child_name, c, *stuck);
}

void nursery_state::answered(const caf::actor_addr& who, const probe_answer& what) {
  const auto it = living.find(who);
  if (it == living.end()) return;
  auto& [child_name, c] = *it->second;
  if (!c.stuck.empty()) return;
  const auto stuck = c.watch.answered(options.time->steady_ms(), what, looks_most(), disk.is_well());
  if (stuck) replace(child_name, c, *stuck);
}

void nursery_state::replace(const std::string& child_name, child& c, const std::string& why) {
  spdlog::error("{}/{} {}: it is replaced", options.name, child_name, why);
  c.stuck = why;
  c.looks_since = 0;
  self->send_exit(c.handle, caf::exit_reason::kill);
}

// The troubled, then those with most to do.
std::vector<child_health> nursery_state::worst(std::size_t most) {
  const auto now = options.time->steady_ms();
  std::vector<child_health> all;
  all.reserve(children.size());
  for (auto& [child_name, c] : children) {
    const auto alive = c.stuck.empty() ? child_state::running : child_state::stopping;
    const auto dead = now < c.ready_at ? child_state::backing_off : child_state::down;
    child_health one;
    one.name = child_name;
    one.state = c.handle ? alive : dead;
    one.restarts = c.restarts;
    one.recent = c.history.recent(now, options.how.one);
    one.last_error = c.last_error;
    one.last_error_at = c.last_error_at;
    if (c.handle) c.watch.tell(one, now);
    all.push_back(std::move(one));
  }
  const auto rank = [](const child_health& c) {
    return std::tuple{c.state != child_state::running, c.restarts > 0, c.work_waits_ms, c.waited_ms,
                      c.messages};
  };
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(most, all.size()));
  std::partial_sort(all.begin(), end, all.end(),
                    [&](const auto& a, const auto& b) { return rank(a) > rank(b); });
  all.erase(end, all.end());
  return all;
}

nursery_health nursery_state::health() {
  forget_old();
  const auto backing_off = std::count_if(children.begin(), children.end(), [&](const auto& c) {
    return !c.second.handle && options.time->steady_ms() < c.second.ready_at;
  });
  const auto& bound = options.how.subtree;
  return {living.size(),        static_cast<std::uint64_t>(backing_off),
          recent_of.size(),     bound.restarts,
          bound.period_seconds, worst(limits::tree_children)};
}

// From a place at random on: the order of the table means nothing.
nursery_sample nursery_state::sample(std::size_t most) const {
  nursery_sample out{living.size(), {}};
  const auto buckets = living.bucket_count();
  const auto first = static_cast<std::size_t>(options.random() * static_cast<double>(buckets));
  for (std::size_t i = 0; i < buckets && out.some.size() < most; ++i) {
    const auto bucket = (first + i) % buckets;
    for (auto it = living.begin(bucket); it != living.end(bucket) && out.some.size() < most; ++it)
      if (auto who = caf::actor_cast<caf::strong_actor_ptr>(it->first)) out.some.push_back(std::move(who));
  }
  return out;
}

nursery_self::behavior_type nursery(nursery_self::stateful_pointer<nursery_state> self,
                                    nursery_options options) {
  end_on_exception(self, options.name);
  self->state.options = std::move(options);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.went_down(down); });
  self->set_exit_handler([self](const caf::exit_msg& why) {
    if (why.reason == caf::exit_reason::kill) return self->quit(why.reason);
    self->state.end(why.reason);
  });
  self->state.look_later();
  return {
      [self](const std::string& child_name) { return self->state.find(child_name); },
      [self](tree_atom) { return self->state.health(); },
      [self](sample_atom, std::uint64_t most) { return self->state.sample(most); },
      [self](const nursery_tick& tick) { self->state.tick(tick); },
  };
}

} // namespace maru::actors
