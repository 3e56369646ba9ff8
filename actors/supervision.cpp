#include "actors/supervision.hpp"

#include "config/limits.hpp"

namespace maru::actors {

supervision supervision_of(const config::settings& settings, std::string_view subtree,
                           std::function<storage::counters()> store) {
  const auto& all = settings.supervision;
  supervision out;
  out.subtree = subtree == "agents"     ? all.agents
                : subtree == "users"    ? all.users
                : subtree == "rooms"    ? all.rooms
                : subtree == "sessions" ? all.sessions
                                        : all.root;
  out.one = {subtree.empty() ? all.root.restarts : limits::restarts_of_one,
             std::int64_t{out.subtree.period_seconds} * 1000, all.backoff_first_ms, all.backoff_most_ms};
  out.stuck_ms = all.stuck_seconds * 1000;
  out.store = std::move(store);
  return out;
}

void store_watch::look(const std::function<storage::counters()>& count) {
  if (!count) return;
  const auto now = count();
  const bool writes = now.queued_steps == 0 || now.groups != before_.groups;
  const bool reads = now.queued_reads == 0 || now.reads != before_.reads;
  looks_in_vain_ = writes && reads && !now.writes_fail ? 0 : looks_in_vain_ + 1;
  before_ = now;
}

std::optional<std::string> child_watch::answered(std::int64_t now, const probe_answer& what,
                                                 std::uint32_t most, bool store_is_well) {
  waited_ms_ = now - probed_at_;
  probed_at_ = 0;
  unanswered_ = 0;
  messages_ = what.messages;
  const bool same = !what.work.on.empty() && what.work.on == work_.on && what.work.piece == work_.piece;
  if (!same) piece_since_ = now;
  work_ = what.work;
  unmoved_ = same && store_is_well ? unmoved_ + 1 : 0;
  // Whoever waits for another actor waits until that one has been replaced.
  if (most == 0 || unmoved_ != (work_.of_others ? 2 * most : most)) return std::nullopt;
  return "its work stood still for " + std::to_string((now - piece_since_) / 1000) + " s, waiting for " +
         std::string{work_.on};
}

std::string child_watch::silence(std::int64_t now) const {
  return "stopped answering " + std::to_string((now - probed_at_) / 1000) + " s ago";
}

void child_watch::tell(child_health& to, std::int64_t now) const {
  to.messages = messages_;
  to.waited_ms = probed_at_ > 0 ? now - probed_at_ : waited_ms_;
  if (work_.on.empty()) return;
  to.waits_for = work_.on;
  to.work_waits_ms = now - piece_since_;
}

} // namespace maru::actors
