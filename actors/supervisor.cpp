#include "actors/supervisor.hpp"

#include <caf/exit_reason.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

supervisor_state::~supervisor_state() {
  if (!ending && !given_up && options.gave_up) options.gave_up("the supervisor itself fell");
  // After an exception in the supervisor itself: no child may outlive it.
  for (const auto& c : children)
    if (c.handle) caf::anon_send_exit(c.handle, caf::exit_reason::kill);
}

void supervisor_state::start_from(std::size_t first) {
  down_from.reset();
  for (auto i = first; i < children.size(); ++i)
    if (!children[i].handle && !start_one(children[i])) return failed(i, children[i].last_error, "start");
}

bool supervisor_state::start_one(child& c) {
  try {
    c.handle = c.spec.start(self);
    if (!c.handle) c.last_error = "could not be started";
  } catch (const std::exception& e) {
    c.last_error = std::string{"could not be started: "} + e.what();
  }
  if (!c.handle) return false;
  c.watch = {};
  c.stuck.clear();
  self->monitor(c.handle);
  return true;
}

void supervisor_state::went_down(const caf::down_msg& down) {
  std::size_t i = 0;
  while (i < children.size() && !(children[i].handle && children[i].handle == down.source))
    ++i;
  if (i == children.size()) return;
  children[i].handle = nullptr;
  if (stopping == i) return stop_next();
  // What was to be stopped anyway may fall before its turn.
  if (ending || (down_from && i >= *down_from)) return;
  const bool orderly = !down.reason || down.reason == caf::exit_reason::user_shutdown;
  if (orderly && !children[i].spec.significant) return;
  if (!children[i].stuck.empty()) return failed(i, children[i].stuck, "stuck");
  failed(i, self->system().render(down.reason), reason_word(down.reason));
}

void supervisor_state::failed(std::size_t i, const std::string& why, std::string_view reason) {
  auto& c = children[i];
  count_end(*options.counts, c.spec.name, reason);
  const auto now = options.time->steady_ms();
  const auto& by = options.how.one;
  c.last_error = why;
  c.last_error_at = options.time->unix_ms();
  c.history.add(now, by);
  ++c.restarts;
  if (given_up) return;
  if (c.history.too_many(now, by))
    return give_up(c.spec.name + " fell " + std::to_string(by.restarts + 1) + " times within " +
                   std::to_string(by.window_ms / 1000) + " s; last error: " + c.last_error);
  spdlog::warn("{} ended ({}); it and what rests on it start again", c.spec.name, why);
  down_from = down_from ? std::min(*down_from, i) : i;
  if (!stopping) stop_next();
}

// Told to end it, the root ends in order; it does so by itself if nobody comes.
void supervisor_state::give_up(const std::string& why) {
  if (std::exchange(given_up, true)) return;
  ++generation;
  stopping.reset();
  if (options.gave_up) options.gave_up(why);
  wake_in(limits::given_up_ms, supervisor_wake::end);
}

void supervisor_state::end(caf::error why) {
  if (ending) return;
  ending = std::move(why);
  down_from = 0;
  if (!stopping) stop_next();
}

// Stops the last one of those to be stopped that still lives.
void supervisor_state::stop_next() {
  ++generation;
  stopping.reset();
  for (auto i = children.size(); i > *down_from; --i) {
    if (!children[i - 1].handle) continue;
    stopping = i - 1;
    self->send_exit(children[i - 1].handle, caf::exit_reason::user_shutdown);
    return wake_in(limits::child_stop_ms, supervisor_wake::insist);
  }
  all_stopped();
}

void supervisor_state::all_stopped() {
  if (ending) return self->quit(*ending);
  if (given_up) return;
  const auto now = options.time->steady_ms();
  wake_in(children[*down_from].history.backoff_ms(now, options.random(), options.how.one),
          supervisor_wake::start);
}

void supervisor_state::tick(const supervisor_tick& tick) {
  if (tick.why == supervisor_wake::look) return look();
  if (tick.generation != generation) return;
  switch (tick.why) {
  case supervisor_wake::start:
    return start_from(down_from.value_or(0));
  case supervisor_wake::insist:
    spdlog::warn("{} does not stop; it is killed", children[*stopping].spec.name);
    self->send_exit(children[*stopping].handle, caf::exit_reason::kill);
    return wake_in(limits::child_stop_ms, supervisor_wake::give_up_waiting);
  case supervisor_wake::give_up_waiting:
    spdlog::error("{} hangs; it is left behind", children[*stopping].spec.name);
    children[*stopping].handle = nullptr;
    return stop_next();
  case supervisor_wake::end:
    return end(caf::make_error(caf::sec::runtime_error, "given up"));
  case supervisor_wake::look:
    break;
  }
}

void supervisor_state::wake_in(std::int64_t ms, supervisor_wake why) {
  self->delayed_anon_send(supervisor_self{self}, std::chrono::milliseconds{ms},
                          supervisor_tick{generation, why});
}

std::uint32_t supervisor_state::looks_most() const {
  if (options.how.stuck_ms == 0) return 0;
  return std::max(limits::looks_in_vain_least, options.how.stuck_ms / limits::look_ms);
}

void supervisor_state::look() {
  wake_in(limits::look_ms, supervisor_wake::look);
  if (options.looked) options.looked();
  disk.look(options.how.store);
  if (looks_most() > 0 && disk.looks_in_vain() == looks_most())
    spdlog::error("the store has got on with nothing for {} s", looks_most() * limits::look_ms / 1000);
  if (ending || down_from || given_up) return;
  const auto now = options.time->steady_ms();
  for (std::size_t i = 0; i < children.size() && !given_up; ++i)
    if (children[i].handle) look_at(i, now);
}

void supervisor_state::look_at(std::size_t i, std::int64_t now) {
  auto& c = children[i];
  if (!c.stuck.empty()) {
    // It does not even hear that it is to end, and whoever has its handle waits for it.
    if (++c.looks_since == limits::looks_to_die)
      give_up(c.spec.name + " " + c.stuck + " and cannot be ended");
    return;
  }
  const auto stuck = c.watch.look(now, looks_most(), [&] {
    probe(self, c.handle, [this](const auto& who, const auto& what) { answered(who, what); });
  });
  if (stuck) replace(c, *stuck);
}

void supervisor_state::answered(const caf::actor_addr& who, const probe_answer& what) {
  for (auto& c : children) {
    if (!c.handle || !(c.handle == who) || !c.stuck.empty()) continue;
    const auto stuck = c.watch.answered(options.time->steady_ms(), what, looks_most(), disk.is_well());
    if (stuck) replace(c, *stuck);
  }
}

void supervisor_state::replace(child& c, const std::string& why) {
  spdlog::error("{} {}: it is replaced", c.spec.name, why);
  c.stuck = why;
  c.looks_since = 0;
  self->send_exit(c.handle, caf::exit_reason::kill);
}

child_state supervisor_state::state_of(std::size_t i) const {
  const auto& c = children[i];
  if (c.handle) return stopping == i || !c.stuck.empty() ? child_state::stopping : child_state::running;
  return given_up || ending ? child_state::down : child_state::backing_off;
}

root_health supervisor_state::health() {
  const auto now = options.time->steady_ms();
  root_health out{options.how.one.restarts, static_cast<std::uint32_t>(options.how.one.window_ms / 1000), {}};
  for (std::size_t i = 0; i < children.size(); ++i) {
    auto& c = children[i];
    child_health one;
    one.name = c.spec.name;
    one.state = state_of(i);
    one.restarts = c.restarts;
    one.recent = c.history.recent(now, options.how.one);
    one.last_error = c.last_error;
    one.last_error_at = c.last_error_at;
    if (c.handle) c.watch.tell(one, now);
    out.children.push_back(std::move(one));
  }
  return out;
}

std::vector<named_actor> supervisor_state::living() const {
  std::vector<named_actor> out;
  for (const auto& c : children)
    out.push_back({c.spec.name, c.handle});
  return out;
}

supervisor_self::behavior_type supervisor(supervisor_self::stateful_pointer<supervisor_state> self,
                                          supervisor_options options) {
  end_on_exception(self, "supervisor");
  auto& s = self->state;
  for (auto& spec : options.children)
    s.children.emplace_back().spec = std::move(spec);
  options.children.clear();
  s.options = std::move(options);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.went_down(down); });
  self->set_exit_handler([self](const caf::exit_msg& why) {
    if (why.reason != caf::exit_reason::kill) return self->state.end(why.reason);
    self->state.ending = why.reason;
    self->quit(why.reason);
  });
  if (s.options.before_start) s.options.before_start(tree_actor{self});
  s.start_from(0);
  s.wake_in(limits::look_ms, supervisor_wake::look);
  return {
      [self](tree_atom) { return self->state.health(); },
      [self](children_atom) { return self->state.living(); },
      [self](const supervisor_tick& tick) { self->state.tick(tick); },
  };
}

} // namespace maru::actors
