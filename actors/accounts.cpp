#include "actors/accounts.hpp"

#include <caf/exit_reason.hpp>

namespace maru::actors {

namespace {

struct loaded_rows {
  std::vector<storage::key_row> keys;
  std::vector<storage::family_row> revoked;
};

// Keys belong to nobody.
const uuid no_owner{};

template <class... Handlers>
struct overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
overloaded(Handlers...) -> overloaded<Handlers...>;

} // namespace

accounts_state::~accounts_state() {
  closing = true;
  held.clear();
  commits.clear();
  works.clear();
  later.clear();
  turns_due.clear();
  turns.clear();
  for (auto& [_, p] : asks)
    p.deliver(api::reply{refusal_of(storage::failure::unavailable)});
}

// --- life ---------------------------------------------------------------------------------------------

void accounts_state::load() {
  const auto since = now() - revocations_kept_ms();
  read(
      [since](storage::reader& from) { return loaded_rows{from.keys(), from.families_revoked_since(since)}; },
      [this](const loaded_rows& rows) {
        for (const auto& key : rows.keys)
          keys.add(key);
        for (const auto& family : rows.revoked)
          if (revoked.emplace(family.id, *family.revoked_at).second)
            revoked_order.emplace_back(*family.revoked_at, family.id);
        if (!keys.empty()) return opened();
        const auto key = tokens::key_ring::make_key(now());
        commit(no_owner, {storage::put_key{key}}, [this, key](const storage::outcome& how) {
          if (!how) return load_again();
          keys.add(key);
          opened();
        });
      },
      [this] { load_again(); });
}

void accounts_state::load_again() {
  spdlog::warn("accounts cannot start yet: the store does not answer");
  held.clear();
  auto refused = std::move(asks);
  asks.clear();
  for (auto& [_, p] : refused)
    p.deliver(api::reply{refusal_of(storage::failure::unavailable)});
  run_later(limits::commit_again_ms, [this] { load(); });
}

void accounts_state::opened() {
  loaded = true;
  auto waiting = std::move(held);
  held.clear();
  for (auto& w : waiting)
    w();
  drop_expired();
}

// What nobody can come with any more, until the store says that there is none; then again in a day.
void accounts_state::drop_expired() {
  commit(no_owner, {storage::drop_expired{now() - revocations_kept_ms()}},
         [this](const storage::outcome& how) {
           run_later(how ? limits::drop_again_ms : static_cast<std::uint32_t>(limits::day_ms),
                     [this] { drop_expired(); });
         });
}

// --- answers ------------------------------------------------------------------------------------------

accounts_state::promise accounts_state::take(std::function<void(ask_id)> handle) {
  auto asked = self->make_response_promise<api::reply>();
  if (asks.size() >= limits::account_requests_under_way)
    return asked.deliver(
        api::reply{refusal{code::overloaded, "too many requests wait; try again", limits::retry_after_ms}});
  const auto ask = next_ticket++;
  asks[ask] = asked;
  if (loaded)
    handle(ask);
  else
    held.push_back([handle = std::move(handle), ask] { handle(ask); });
  run_due();
  return asked;
}

void accounts_state::answer(ask_id ask, api::reply what) {
  const auto it = asks.find(ask);
  if (it == asks.end()) return;
  auto asked = std::move(it->second);
  asks.erase(it);
  asked.deliver(std::move(what));
}

// --- the store ----------------------------------------------------------------------------------------

void accounts_state::commit(const uuid& owner, std::vector<storage::part> parts,
                            std::function<void(const storage::outcome&)> then) {
  const auto ticket = next_ticket++;
  commits[ticket] = std::move(then);
  self->send(svc->store, storage::step{svc->under(owner), std::move(parts)}, ticket, commit_client{self});
}

void accounts_state::commit_or_refuse(ask_id ask, const uuid& owner, std::vector<storage::part> parts,
                                      std::function<void()> then) {
  commit(owner, std::move(parts), [this, ask, then = std::move(then)](const storage::outcome& how) {
    if (!how) return answer(ask, refusal_of(how.why));
    then();
  });
}

void accounts_state::run_later(std::uint32_t ms, std::function<void()> what) {
  const auto ticket = next_ticket++;
  later[ticket] = std::move(what);
  self->delayed_anon_send(caf::actor_cast<accounts_self>(self), std::chrono::milliseconds{ms},
                          accounts_tick{ticket});
}

// --- turns --------------------------------------------------------------------------------------------

void accounts_state::in_turn(const uuid& user, turn_taker taker) {
  const auto [it, free] = turns.try_emplace(user);
  if (free)
    turns_due.emplace_back(user, std::move(taker));
  else
    it->second.push_back(std::move(taker));
}

// From a destructor: only notes who is next.
void accounts_state::turn_over(const uuid& user) {
  if (closing) return;
  const auto it = turns.find(user);
  if (it->second.empty()) {
    turns.erase(it);
    return;
  }
  turns_due.emplace_back(user, std::move(it->second.front()));
  it->second.pop_front();
}

void accounts_state::run_due() {
  while (!turns_due.empty()) {
    auto [user, taker] = std::move(turns_due.front());
    turns_due.pop_front();
    taker(std::make_shared<turn>(this, user));
  }
}

password_cost accounts_state::cost() const {
  return {svc->settings->auth.argon2_memory_kib, svc->settings->auth.argon2_passes};
}

std::int64_t accounts_state::access_life_ms() const {
  return std::int64_t{svc->settings->auth.access_token_seconds} * 1000;
}

accounts_self::behavior_type accounts(accounts_self::stateful_pointer<accounts_state> self,
                                      shared_services svc, std::shared_ptr<password_pool> pool) {
  end_on_exception(self, "accounts");
  auto& s = self->state;
  s.svc = std::move(svc);
  s.pool = std::move(pool);
  s.load();
  return {
      [self](const std::string& token, const api::request& what) {
        auto& s = self->state;
        return s.take([&s, token, what](accounts_state::ask_id ask) {
          std::visit(
              overloaded{
                  [&](const api::signup& in) { s.signup(ask, in); },
                  [&](const api::login& in) { s.login(ask, in); },
                  [&](const api::refresh& in) { s.refresh(ask, in, 1); },
                  [&](const api::logout& in) { s.logout(ask, token, in); },
                  [&](const api::identify&) { s.identify(ask, token); },
                  [&](const api::get_me&) { s.get_me(ask, token); },
                  [&](const api::change_me& in) { s.change_me(ask, token, in); },
                  [&](const auto&) { s.answer(ask, refusal{code::internal, "no matter of accounts", 0}); },
              },
              what);
        });
      },
      [self](const person& by, const api::request& what) {
        auto& s = self->state;
        return s.take([&s, by, what](accounts_state::ask_id ask) {
          if (const auto* in = std::get_if<api::add_user>(&what)) return s.add_user(ask, by, *in);
          if (const auto* in = std::get_if<api::change_user>(&what)) return s.change_user(ask, by, *in);
          s.answer(ask, refusal{code::internal, "no matter of administration", 0});
        });
      },
      [self](const std::string& token) {
        auto& s = self->state;
        return s.take([&s, token](accounts_state::ask_id ask) { s.identify(ask, token); });
      },
      [self](const uuid& family) {
        auto& s = self->state;
        return s.take([&s, family](accounts_state::ask_id ask) {
          if (s.revoked.contains(family)) return s.answer(ask, refusal{code::unauthenticated, "revoked", 0});
          s.answer(ask, api::nothing{});
        });
      },
      [self](const commit_done& done) {
        auto& s = self->state;
        if (auto node = s.commits.extract(done.ticket)) node.mapped()(done.how);
        s.run_due();
      },
      [self](accounts_work& done) {
        auto& s = self->state;
        if (auto node = s.works.extract(done.ticket)) {
          auto& next = node.mapped();
          if (done.value.has_value())
            next.then(done.value);
          else
            next.failed();
        }
        s.run_due();
      },
      [self](const accounts_tick& tick) {
        auto& s = self->state;
        if (auto node = s.later.extract(tick.ticket)) node.mapped()();
        s.run_due();
      },
  };
}

} // namespace maru::actors
