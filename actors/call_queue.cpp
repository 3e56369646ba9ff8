#include "actors/call_queue.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "config/limits.hpp"

namespace maru::actors {

call_queue::call_queue(const config::settings& settings, std::shared_ptr<call_loads> loads,
                       std::shared_ptr<metrics> counts)
    : user_most_(settings.limits.calls_per_user), loads_(std::move(loads)), counts_(std::move(counts)) {
  for (const auto& p : settings.providers) {
    auto& of = lines_[p.name];
    of.options = &p;
    of.load = &loads_->providers[p.name];
    of.at = counts_->at(metric::provider_calls_waiting, p.name);
  }
  for (const auto& a : settings.agents)
    if (a.calls > 0) agents_[a.name] = {&loads_->agents[a.name], a.calls};
}

call_queue::~call_queue() {
  for (auto& [name, of] : lines_) {
    counts_->take_at(metric::provider_calls_waiting, of.at, of.waiting.size());
    of.waiting.clear();
    recover(of);
    tell_load(of);
  }
  for (auto& [name, of] : agents_)
    of.load->waiting = 0;
}

// Whoever has nothing behind them begins where the line is now; all else begins after their last.
void call_queue::add(std::uint64_t number, call_wish what) {
  auto& of = lines_.at(what.provider);
  auto& theirs = of.shares[what.user];
  const auto tag = std::max(of.now, theirs.next);
  theirs.next = tag + 1;
  ++theirs.waiting;
  if (const auto it = agents_.find(what.agent); it != agents_.end())
    it->second.load->waiting = ++it->second.waiting;
  of.waiting.emplace(tag, number);
  counts_->add_at(metric::provider_calls_waiting, of.at);
  calls_.emplace(number, call{std::move(what), tag});
}

void call_queue::waits_no_more(line& of, const call& what) {
  --of.shares.at(what.what.user).waiting;
  if (const auto it = agents_.find(what.what.agent); it != agents_.end())
    it->second.load->waiting = --it->second.waiting;
  counts_->take_at(metric::provider_calls_waiting, of.at);
}

// A share that begins where the line is, or before, is as good as none.
void call_queue::forget_shares(line& of) {
  if (of.waiting.empty()) return of.shares.clear();
  if (of.shares.size() <= 2 * of.waiting.size() + limits::call_shares_spare) return;
  std::erase_if(of.shares, [&](const auto& s) { return s.second.waiting == 0 && s.second.next <= of.now; });
}

// A provider that rests is tried by one call at a time once its rest is over.
bool call_queue::is_open(const line& of, std::int64_t now) const {
  return of.rests_until == 0 || (of.rests_until <= now && of.trying == 0);
}

// Beside the provider's own bound.
bool call_queue::has_place(const call_wish& what) const {
  if (what.suspect && suspects_ > 0) return false;
  if (const auto it = users_.find(what.user);
      user_most_ > 0 && it != users_.end() && it->second >= user_most_)
    return false;
  const auto it = agents_.find(what.agent);
  return it == agents_.end() || it->second.running < it->second.most;
}

bool call_queue::is_full(const line& of) { return of.options->calls > 0 && of.running >= of.options->calls; }

call_queue::news call_queue::next(std::int64_t now) {
  news out;
  const auto recovered = std::exchange(recovered_, {});
  for (auto& [name, of] : lines_) {
    if (!of.waiting.empty() && is_open(of, now)) let_in(of, now, out);
    if (!of.waiting.empty() && !is_open(of, now)) send_away(of, recovered, out);
    forget_shares(of);
    tell_load(of);
  }
  return out;
}

void call_queue::let_in(line& of, std::int64_t now, news& to) {
  for (auto it = of.waiting.begin(); it != of.waiting.end() && is_open(of, now) && !is_full(of);) {
    const auto number = it->second;
    auto& what = calls_.at(number);
    if (!has_place(what.what)) {
      ++it;
      continue;
    }
    it = of.waiting.erase(it);
    start(of, number, what, now);
    to.run.push_back(number);
  }
}

// Those that may find another provider awake, or have one that is used again.
void call_queue::send_away(line& of, const std::set<std::string>& recovered, news& to) {
  for (auto it = of.waiting.begin(); it != of.waiting.end();) {
    const auto found = calls_.find(it->second);
    const auto& wish = found->second.what;
    if (!wish.may_leave &&
        std::ranges::none_of(wish.others, [&](const auto& name) { return recovered.contains(name); })) {
      ++it;
      continue;
    }
    to.elsewhere.push_back(it->second);
    waits_no_more(of, found->second);
    calls_.erase(found);
    it = of.waiting.erase(it);
  }
}

void call_queue::start(line& of, std::uint64_t number, call& what, std::int64_t now) {
  waits_no_more(of, what);
  of.now = std::max(of.now, what.tag);
  ++of.running;
  ++users_[what.what.user];
  if (const auto it = agents_.find(what.what.agent); it != agents_.end()) ++it->second.running;
  suspects_ += what.what.suspect ? 1 : 0;
  if (of.rests_until > 0) of.trying = number;
  what.running_since = std::max<std::int64_t>(now, 1);
}

void call_queue::remove(std::uint64_t number, std::int64_t now) {
  auto node = calls_.extract(number);
  if (node.empty()) return;
  const auto& gone = node.mapped();
  auto& of = lines_.at(gone.what.provider);
  if (gone.running_since == 0) {
    of.waiting.erase({gone.tag, number});
    waits_no_more(of, gone);
    // What was given up is not held against who asked.
    if (auto& theirs = of.shares.at(gone.what.user); theirs.waiting == 0)
      theirs.next = std::min(theirs.next, of.now + 1);
    return tell_load(of);
  }
  --of.running;
  if (const auto it = users_.find(gone.what.user); --it->second == 0) users_.erase(it);
  if (const auto it = agents_.find(gone.what.agent); it != agents_.end()) --it->second.running;
  suspects_ -= gone.what.suspect ? 1 : 0;
  if (of.trying == number) of.trying = 0;
  constexpr double weight = 0.1; // of the newest
  const auto took = static_cast<double>(now - gone.running_since);
  of.call_ms = of.call_ms == 0 ? took : of.call_ms + weight * (took - of.call_ms);
}

void call_queue::judge(std::uint64_t number, call_health how, std::int64_t now) {
  const auto it = calls_.find(number);
  if (it == calls_.end() || how == call_health::unknown) return;
  auto& of = lines_.at(it->second.what.provider);
  if (how == call_health::well) return recover(of);
  const auto most = of.options->rest_after;
  ++of.failures;
  // Calls that were under way when it went to rest say nothing new.
  if (of.rests_until > 0 ? of.trying == number : most > 0 && of.failures >= most) rest(of, now);
}

bool call_queue::tries(std::uint64_t number) const {
  return std::ranges::any_of(lines_, [&](const auto& l) { return l.second.trying == number; });
}

void call_queue::rest(line& of, std::int64_t now) {
  if (of.rests_until == 0) counts_->add_at(metric::provider_rests, of.at);
  const auto doublings = std::min<std::uint32_t>(of.rests++, 31);
  const auto ms = std::min<std::uint64_t>(std::uint64_t{of.options->rest_first_ms} << doublings,
                                          of.options->rest_most_ms);
  of.rests_until = now + static_cast<std::int64_t>(ms);
  spdlog::warn("provider {} failed {} times in a row: it is left alone for {} ms, then tried by one call",
               of.options->name, of.failures, ms);
}

void call_queue::recover(line& of) {
  of.failures = 0;
  if (of.rests_until == 0) return;
  recovered_.insert(of.options->name);
  of.rests_until = 0;
  of.rests = 0;
  of.trying = 0;
  counts_->take_at(metric::provider_rests, of.at);
  spdlog::info("provider {} is used again", of.options->name);
}

// Where the rest is over already, whatever makes place for who waits asks for what is next.
std::optional<std::int64_t> call_queue::wake_at(std::int64_t now) const {
  std::optional<std::int64_t> first;
  for (const auto& [name, of] : lines_)
    if (of.rests_until > now && of.trying == 0 && !of.waiting.empty())
      first = std::min(first.value_or(of.rests_until), of.rests_until);
  return first;
}

bool call_queue::any_wait() const {
  return std::ranges::any_of(lines_, [](const auto& l) { return !l.second.waiting.empty(); });
}

std::uint32_t call_queue::position(std::uint64_t number) const {
  const auto it = calls_.find(number);
  if (it == calls_.end() || it->second.running_since > 0) return 0;
  const auto& all = lines_.at(it->second.what.provider).waiting;
  return static_cast<std::uint32_t>(std::distance(all.begin(), all.find({it->second.tag, number}))) + 1;
}

std::vector<std::pair<std::uint64_t, std::uint32_t>> call_queue::moved() {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> out;
  for (const auto& [name, of] : lines_) {
    std::uint32_t place = 0;
    for (const auto& [tag, number] : of.waiting) {
      if (++place > limits::positions_told) break;
      if (std::exchange(calls_.at(number).told, place) != place) out.emplace_back(number, place);
    }
  }
  return out;
}

// What is ahead of a newcomer, at the pace of the calls that ended last. While there is place, those that
// wait are held back by bounds of their own.
void call_queue::tell_load(line& of) {
  const bool rests = of.rests_until > 0;
  const auto waiting = rests || is_full(of) ? static_cast<std::uint32_t>(of.waiting.size()) : 0;
  of.load->rests = rests;
  of.load->waiting = waiting;
  of.load->wait_ms = static_cast<std::uint32_t>(
      std::clamp(of.call_ms * (waiting + 1) / std::max(1U, of.options->calls),
                 double{limits::call_wait_told_least_ms}, double{limits::call_wait_told_most_ms}));
}

} // namespace maru::actors
