#include "actors/supervisor.hpp"

#include <caf/exit_reason.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

supervisor_state::~supervisor_state() {
  if (!ending && options.gave_up) options.gave_up("the supervisor itself fell");
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
  failed(i, self->system().render(down.reason), reason_word(down.reason));
}

void supervisor_state::failed(std::size_t i, const std::string& why, std::string_view reason) {
  auto& c = children[i];
  count_end(*options.counts, c.spec.name, reason);
  const auto now = options.time->steady_ms();
  c.last_error = why;
  c.history.add(now);
  ++c.restarts;
  if (c.history.too_many(now)) return give_up(c);
  spdlog::warn("{} ended ({}); it and what rests on it start again", c.spec.name, why);
  down_from = down_from ? std::min(*down_from, i) : i;
  if (!stopping) stop_next();
}

void supervisor_state::give_up(const child& c) {
  const auto message = c.spec.name + " ended " + std::to_string(limits::restarts + 1) + " times within " +
                       std::to_string(limits::restart_window_ms / 1000) + " s, at last with: " + c.last_error;
  spdlog::critical("{}", message);
  if (options.gave_up) options.gave_up(message);
  end(caf::make_error(caf::sec::runtime_error, message));
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
  const auto now = options.time->steady_ms();
  wake_in(children[*down_from].history.backoff_ms(now, options.random()), supervisor_wake::start);
}

void supervisor_state::tick(const supervisor_tick& tick) {
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
  }
}

void supervisor_state::wake_in(std::int64_t ms, supervisor_wake why) {
  self->delayed_anon_send(supervisor_self{self}, std::chrono::milliseconds{ms},
                          supervisor_tick{generation, why});
}

std::vector<child_health> supervisor_state::health() const {
  std::vector<child_health> out;
  out.reserve(children.size());
  for (const auto& c : children)
    out.push_back({c.spec.name, c.restarts, c.last_error, c.handle != nullptr});
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
    s.children.push_back({std::move(spec), nullptr, {}, 0, ""});
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
  return {
      [self](tree_atom) { return self->state.health(); },
      [self](children_atom) { return self->state.living(); },
      [self](const supervisor_tick& tick) { self->state.tick(tick); },
  };
}

} // namespace maru::actors
