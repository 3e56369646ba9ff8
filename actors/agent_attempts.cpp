// The attempts at one answer: which provider is called, what each cost, and what follows when one fails.

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/agent.hpp"
#include "actors/attempts.hpp"
#include "actors/common.hpp"
#include "config/limits.hpp"
#include "llm/retry.hpp"

namespace maru::actors {

const llm::provider* agent_state::model() const {
  if (!work || work->provider >= settings.providers.size()) return nullptr;
  const auto it = svc->models->find(settings.providers[work->provider]);
  return it == svc->models->end() ? nullptr : it->second.get();
}

bool agent_state::continues() const {
  const auto* m = model();
  return m != nullptr && m->options().continues;
}

// What attempts of another life of the agent cost counts on.
void agent_state::take_record() {
  auto& w = *work;
  w.providers.resize(std::max<std::size_t>(1, settings.providers.size()));
  for (const auto& a : attempts_in(w.q.record)) {
    w.tokens += a.tokens();
    w.ran_ms += a.ms;
    w.called = true;
    const auto it = std::ranges::find(settings.providers, a.provider);
    if (it == settings.providers.end() || a.how == "lost") continue;
    ++w.providers[static_cast<std::size_t>(it - settings.providers.begin())].failures;
  }
  for (std::size_t i = 0; i < settings.providers.size(); ++i) {
    const auto it = svc->models->find(settings.providers[i]);
    w.providers[i].out =
        it != svc->models->end() && w.providers[i].failures >= it->second->options().attempts;
  }
  if (w.providers[0].out) use_next(false);
}

// Whoever called before is gone, and so is what that call cost.
void agent_state::take_loss() {
  auto& w = *work;
  attempt_cost cost{std::max(1U, w.q.attempt), "", "lost", svc->time->unix_ms(), 0, 0, 0, true};
  for (const auto& t : w.turns)
    cost.prompt_tokens += llm::estimate_tokens(t.text);
  cost.completion_tokens = llm::estimate_tokens(w.text);
  w.tokens += cost.tokens();
  w.spent += line_of_cost(cost);
}

void agent_state::call_model() {
  auto& w = *work;
  if (w.call != 0 || w.finish) return;
  svc->reach("agent.call");
  start_call start;
  start.call = w.call = next_number++;
  w.told = {w.q.answer, w.attempt, 0, "", 0};
  for (const auto& t : w.turns)
    w.told.prompt_tokens += llm::estimate_tokens(t.text);
  start.wish.provider = w.provider < settings.providers.size() ? settings.providers[w.provider] : "";
  start.wish.agent = who.agent;
  start.wish.user = w.q.asker;
  start.wish.suspect = w.q.recovered && w.q.losses > limits::losses_without_wait;
  for (const auto& p : w.providers) {
    if (&p == &w.providers[w.provider] || p.out) continue;
    start.wish.others.push_back(settings.providers[static_cast<std::size_t>(&p - w.providers.data())]);
    start.wish.may_leave |= !p.rests;
  }
  start.what.model = settings.model;
  start.what.turns = w.turns;
  start.what.prefix = w.text;
  start.what.max_tokens = settings.max_answer_tokens;
  w.kept_at = svc->time->steady_ms();
  self->send(svc->callers, std::move(start), me());
}

void agent_state::placed(const call_placed& what) {
  if (!work || work->call != what.call) {
    if (what.caller) self->send(what.caller, cancel_call{what.call});
    return;
  }
  auto& w = *work;
  if (what.elsewhere) {
    w.call = 0;
    auto& here = w.providers[w.provider];
    here.rests = true;
    const auto awake = [](const auto& p) { return !p.out && !p.rests; };
    // It was sent away from where it waited: another one is used again.
    if (std::ranges::none_of(w.providers, awake))
      for (auto& p : w.providers)
        p.rests = &p == &here;
    w.leaves = w.begin_ticket != 0; // one attempt is begun at a time
    return w.leaves ? void() : use_next(true);
  }
  w.told.position = what.position;
  if (what.caller) {
    w.caller = what.caller;
    self->monitor(w.caller);
    w.told.provider = settings.providers[w.provider];
    w.called_at = svc->time->unix_ms();
    w.runs_since = svc->time->steady_ms();
    w.called = true;
  }
  if (w.gate_open && room) self->send(room, w.told);
}

// Another provider of the list, from the front: one that is not out, rather one that does not rest. What has
// been shown stays only if it goes on from it.
void agent_state::use_next(bool and_call) {
  auto& w = *work;
  const auto pick = [&](bool resting) {
    return std::ranges::find_if(w.providers, [&](const auto& p) { return !p.out && (resting || !p.rests); });
  };
  auto next = pick(false);
  if (next == w.providers.end()) next = pick(true);
  if (next == w.providers.end()) return;
  const bool again = w.provider == static_cast<std::size_t>(next - w.providers.begin());
  w.provider = static_cast<std::size_t>(next - w.providers.begin());
  if (!and_call) return;
  if (!again) svc->counts->add(metric::answer_fallbacks);
  if (w.n > 0 && !continues()) return begin_again(0);
  call_model();
}

// Its cost goes on record with the commit that follows.
void agent_state::spend(std::string_view how, const llm::usage& usage) {
  auto& w = *work;
  if (w.told.provider.empty()) return;
  attempt_cost cost{w.attempt,
                    std::exchange(w.told.provider, ""),
                    std::string(how),
                    w.called_at,
                    svc->time->steady_ms() - w.runs_since,
                    usage.prompt_tokens,
                    usage.completion_tokens,
                    usage.estimated};
  if (cost.tokens() == 0) {
    cost.prompt_tokens = w.told.prompt_tokens;
    cost.completion_tokens = llm::estimate_tokens(std::string_view(w.text).substr(w.base_bytes));
    cost.estimated = true;
  }
  w.runs_since = 0;
  w.ran_ms += cost.ms;
  w.tokens += cost.tokens();
  w.spent += line_of_cost(cost);
}

// Time counts while a call runs: neither what it waited, nor what the process was down.
bool agent_state::over_budget() const {
  const auto* m = model();
  if (m == nullptr) return false;
  const auto& o = m->options();
  const auto running = work->runs_since > 0 ? svc->time->steady_ms() - work->runs_since : 0;
  const auto took = work->ran_ms + running;
  return (o.answer_tokens > 0 && work->tokens >= o.answer_tokens) ||
         (o.answer_seconds > 0 && took >= std::int64_t{o.answer_seconds} * 1000);
}

// A stream that goes on and on ends here. Looked at every second.
void agent_state::check_budget() {
  if (!work || work->call == 0 || !work->caller || !work->gate_open || !over_budget()) return;
  drop_call();
  spend(word(burial::budget_spent), {});
  give_up_on(std::string(word(burial::budget_spent)), burial::budget_spent);
}

void agent_state::ended(const call_ended& what) {
  if (!work || work->call != what.call) return;
  ++busy;
  svc->reach("agent.ended");
  work->call = 0;
  work->caller = nullptr;
  if (what.how.what == llm::fault::none)
    answered(what.how);
  else if (work->ahead || work->begin_ticket != 0)
    work->failed_early = what.how;
  else
    failed(what.how);
}

void agent_state::answered(const llm::outcome& how) {
  spend("answered", how.usage);
  finish_answer end;
  end.text = work->text;
  end.model = how.model.empty() ? settings.model : how.model;
  end.finish = how.finish;
  end.prompt_tokens = how.usage.prompt_tokens;
  end.completion_tokens = how.usage.completion_tokens;
  end.usage_estimated = how.usage.estimated;
  ask_end(std::move(end));
}

namespace {

// It refuses us, not the question: another may take it.
bool refuses_us(int status) { return status == 401 || status == 402 || status == 403 || status == 404; }

} // namespace

void agent_state::failed(const llm::outcome& how) {
  auto& w = *work;
  const auto* m = model();
  spdlog::warn("room {} answer {} attempt {}: provider {} failed: {} {} {}", who.room.str(), w.q.answer.str(),
               w.attempt, m == nullptr ? "" : m->options().name, llm::word(how.what), how.http_status,
               how.detail);
  ++w.q.provider_failures;
  spend(llm::word(how.what), how.usage);
  auto& at = w.providers[w.provider];
  ++at.failures;
  at.out = m == nullptr || !how.retryable || at.failures >= m->options().attempts;
  const bool elsewhere = how.retryable || m == nullptr || refuses_us(how.http_status);
  const bool left = std::ranges::any_of(w.providers, [](const auto& p) { return !p.out; });
  if (over_budget()) return give_up_on(std::string(word(burial::budget_spent)), burial::budget_spent);
  if (!elsewhere || !left)
    return give_up_on(std::string(llm::word(how.what)),
                      how.retryable ? std::optional(burial::budget_spent) : std::nullopt);
  svc->counts->add(metric::answer_retries);
  if (!at.out)
    return begin_again(llm::retry_delay(m->options(), at.failures + 1, how, svc->random()).count());
  use_next(false);
  svc->counts->add(metric::answer_fallbacks);
  begin_again(0);
}

// The next attempt, after so long.
void agent_state::begin_again(std::int64_t wait_ms) {
  auto& w = *work;
  ++w.attempt;
  w.gate_open = false;
  w.state = answer_state::recovering;
  for (auto& p : w.providers)
    p.rests = false;
  if (continues()) {
    w.base_n = w.n;
    w.base_bytes = w.text.size();
  } else {
    w.n = w.base_n = 0;
    w.text.clear();
    w.base_bytes = 0;
  }
  commit_begin();
  wake_in(static_cast<std::uint32_t>(wait_ms), agent_wake::call);
}

// No further attempt. What an operator can do something about is kept among the dead letters.
void agent_state::give_up_on(std::string reason, std::optional<burial> bury) {
  finish_answer end;
  end.how = ending::failed;
  end.text = work->text;
  end.reason = std::move(reason);
  if (bury) end.bury = word(*bury);
  ask_end(std::move(end));
}

void agent_state::drop_call() {
  auto& w = *work;
  if (w.caller)
    self->send(w.caller, cancel_call{w.call});
  else if (w.call != 0)
    self->send(svc->callers, cancel_call{w.call}, me());
  w.call = 0;
  w.caller = nullptr;
}

} // namespace maru::actors
