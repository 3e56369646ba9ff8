#include "actors/observer.hpp"

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/process_readings.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

constexpr double in_seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

} // namespace

std::size_t observer_state::kind_of(std::string_view name) const {
  return svc->counts->at(metric::actors, name);
}

void observer_state::take(observed tell) {
  svc->reach("observer.take");
  asking.push_back(std::move(tell));
  if (!running) start_round();
}

void observer_state::start_round() {
  running = true;
  ++round;
  awaited = 1; // this function
  kinds.clear();
  for (const auto& [who, p] : under_way)
    kinds[p.kind].probed = true;
  ask_root();
  read_store();
  self->delayed_send(self, std::chrono::milliseconds(limits::probe_patience_ms), observer_tick{round});
  came(round);
}

void observer_state::ask_root() {
  const auto root = caf::actor_cast<caf::strong_actor_ptr>(svc->root);
  kinds[kind_of("supervisor")].alive = 1;
  ask(kind_of("supervisor"), root);
  if (!lists.insert("").second) return;
  ++awaited;
  self->request(svc->root, caf::infinite, children_atom::value)
      .then(
          [this, of = round](const std::vector<named_actor>& children) {
            lists.erase("");
            for (const auto& c : children) {
              if (of != round || !running) return;
              kinds[kind_of(c.name)].alive = c.who ? 1 : 0;
              if (c.who && c.name != name) ask(kind_of(c.name), c.who);
              if (!child_kind(c.name).empty()) ask_nursery(c.name, c.who);
            }
            came(of);
          },
          [this, of = round](const caf::error&) {
            lists.erase("");
            came(of);
          });
}

void observer_state::ask_nursery(const std::string& nursery, const caf::strong_actor_ptr& who) {
  const auto kind = kind_of(child_kind(nursery));
  kinds[kind];
  if (!who || !lists.insert(nursery).second) return;
  ++awaited;
  self->request(caf::actor_cast<nursery_actor>(who), caf::infinite, sample_atom::value,
                std::uint64_t{limits::probed_children})
      .then(
          [this, of = round, nursery, kind](const nursery_sample& sample) {
            lists.erase(nursery);
            if (of != round || !running) return;
            kinds[kind].alive = static_cast<double>(sample.alive);
            for (const auto& child : sample.some)
              ask(kind, child);
            came(of);
          },
          [this, of = round, nursery](const caf::error&) {
            lists.erase(nursery);
            came(of);
          });
}

void observer_state::ask(std::size_t kind, const caf::strong_actor_ptr& who) {
  const auto address = caf::actor_cast<caf::actor_addr>(who);
  if (under_way.size() >= limits::probes_under_way) return;
  kinds[kind].probed = true;
  if (!under_way.emplace(address, probe{kind, svc->time->steady_ms()}).second) return;
  ++awaited;
  self->request(caf::actor_cast<caf::actor>(who), caf::infinite, probe_atom::value)
      .then([this, address, of = round](
                const probe_answer& what) { answered(address, of, static_cast<double>(what.messages)); },
            [this, address, of = round](const caf::error&) { answered(address, of, 0); });
}

void observer_state::answered(const caf::actor_addr& who, std::uint64_t of_round, double messages) {
  const auto found = under_way.extract(who);
  if (running && !found.empty()) {
    auto& kind = kinds[found.mapped().kind];
    kind.wait_ms = std::max(kind.wait_ms, svc->time->steady_ms() - found.mapped().sent);
    kind.messages = std::max(kind.messages, messages);
  }
  came(of_round);
}

void observer_state::read_store() {
  const auto now = svc->time->steady_ms();
  if (reading_store || (has_last && now - read_at < limits::observed_store_ms)) return;
  reading_store = true;
  read_at = now;
  ++awaited;
  read_into(
      self, svc->store, caf::actor_cast<observer_self>(self),
      [of = round, now = svc->time->unix_ms()](storage::reader& from) {
        return store_observed{of, false, from.observe(now), process_readings()};
      },
      [of = round](const std::string&) { return store_observed{of, true, {}, process_readings()}; });
}

void observer_state::came(std::uint64_t of_round) {
  if (running && of_round == round && --awaited == 0) finish();
}

void observer_state::finish() {
  running = false;
  std::vector<reading> all;
  add_kinds(all);
  add_store(all);
  all.push_back({metric::password_jobs_waiting, static_cast<double>(passwords_waiting())});
  for (const auto& tell : std::exchange(asking, {}))
    tell(all);
}

void observer_state::add_kinds(std::vector<reading>& to) {
  const auto now = svc->time->steady_ms();
  for (const auto& [who, p] : under_way)
    kinds[p.kind].wait_ms = std::max(kinds[p.kind].wait_ms, now - p.sent);
  for (const auto& [at, kind] : kinds) {
    to.push_back({metric::actors, kind.alive, at});
    if (!kind.probed) continue;
    to.push_back({metric::actor_mailbox_wait, in_seconds(kind.wait_ms), at});
    to.push_back({metric::actor_mailbox_messages, kind.messages, at});
  }
}

void observer_state::add_store(std::vector<reading>& to) const {
  const auto add = [&](metric what, auto value) { to.push_back({what, static_cast<double>(value)}); };
  const auto now = svc->db->count();
  add(metric::store_waiting_steps, now.queued_steps);
  add(metric::store_waiting_bytes, now.queued_bytes);
  add(metric::store_waiting_reads, now.queued_reads);
  add(metric::store_writes_fail, now.writes_fail ? 1 : 0);
  to.insert(to.end(), last.process.begin(), last.process.end());
  if (!has_last || last.failed) return;
  const auto& seen = last.what;
  for (std::size_t at = 0; at < seen.mailboxes.size(); ++at) {
    const auto& of = seen.mailboxes.at(at);
    const auto due = of.due_since ? std::max<std::int64_t>(0, svc->time->unix_ms() - *of.due_since) : 0;
    to.push_back({metric::mailbox_entries, static_cast<double>(of.entries), at});
    to.push_back({metric::mailbox_oldest_due, in_seconds(due), at});
  }
  std::map<std::size_t, double> dead;
  for (const auto reason : burials)
    dead[svc->counts->at(metric::mailbox_dead_letters, reason)] = 0;
  for (const auto& [reason, count] : seen.dead_by_reason)
    dead[svc->counts->at(metric::mailbox_dead_letters, reason)] += static_cast<double>(count);
  for (const auto& [at, count] : dead)
    to.push_back({metric::mailbox_dead_letters, count, at});
  add(metric::answers_unfinished, seen.unfinished);
  add(metric::store_database_bytes, seen.database_bytes);
  add(metric::store_log_bytes, seen.log_bytes);
  add(metric::store_disk_free_bytes, seen.disk_free_bytes);
}

observer_self::behavior_type observer(observer_self::stateful_pointer<observer_state> self,
                                      shared_services svc, std::function<std::size_t()> passwords_waiting) {
  end_on_exception(self, "observer");
  auto& s = self->state;
  s.svc = std::move(svc);
  s.passwords_waiting = std::move(passwords_waiting);
  return {
      [&s](observed& tell) { s.take(std::move(tell)); },
      [&s](store_observed& what) {
        s.reading_store = false;
        s.has_last = true;
        s.last = std::move(what);
        s.came(s.last.round);
      },
      [&s](const observer_tick& t) {
        if (s.running && t.round == s.round) s.finish();
      },
  };
}

} // namespace maru::actors
