#pragma once

// Sign-up, login, token families, keys. Invariants:
// - What is answered with success is on disk.
// - A refresh token is used once: of two uses at a time the store lets one through.
// - A revoked family's access tokens are refused from the moment its revocation is told.
// - Each request is answered, also when the actor ends.
// - Of one account, changes that rest on what was read of it take turns.

#include <any>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "actors/password_pool.hpp"
#include "actors/services.hpp"
#include "actors/tokens.hpp"
#include "config/limits.hpp"

namespace maru::actors {

// A reader or the password pool is done; an empty value: it failed.
struct accounts_work {
  std::uint64_t ticket = 0;
  std::any value;
};
// Later has come: load anew, or (with a ticket) go on with what waits under it.
struct accounts_tick {
  std::uint64_t ticket = 0;
};

using accounts_self = accounts_actor::extend<caf::reacts_to<commit_done>, caf::reacts_to<accounts_work>,
                                             caf::reacts_to<accounts_tick>>;

struct accounts_state {
  using promise = caf::typed_response_promise<api::reply>;
  using ask_id = std::uint64_t; // of a promise that is kept

  // The right to change one account; over when its last copy is gone.
  struct turn {
    turn(accounts_state* of, const uuid& user) : of(of), user(user) {}
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() { of->turn_over(user); }
    accounts_state* of;
    uuid user;
  };
  using turn_ptr = std::shared_ptr<turn>;
  using turn_taker = std::function<void(turn_ptr)>;

  struct work {
    std::function<void(std::any&)> then;
    std::function<void()> failed;
  };
  struct known {
    std::string username, display_name, role;
    std::int64_t read_at = 0;
    std::list<uuid>::iterator place;
  };
  struct identity_ask {
    ask_id ask = 0;
    uuid family;
  };
  struct new_session {
    uuid family;
    std::string refresh;
    std::vector<storage::part> parts;
  };
  struct refresh_view {
    std::optional<storage::refresh_row> row, successor;
    std::optional<storage::family_row> family;
    std::optional<storage::account_row> account;
  };

  explicit accounts_state(accounts_self::stateful_pointer<accounts_state> self) : self(self) {}
  ~accounts_state();
  static inline const char* name = "accounts";

  accounts_self::stateful_pointer<accounts_state> self;
  shared_services svc;
  std::shared_ptr<password_pool> pool;

  bool loaded = false, closing = false;
  tokens::key_ring keys;
  std::unordered_map<uuid, std::int64_t> revoked; // families that somebody may still come with
  std::deque<std::pair<std::int64_t, uuid>> revoked_order;
  std::unordered_map<uuid, known> identities;
  std::list<uuid> identity_order; // used longest ago first
  std::unordered_map<uuid, std::vector<identity_ask>> identity_asks;

  std::uint64_t next_ticket = 1;
  std::map<ask_id, promise> asks;
  std::vector<std::function<void()>> held; // came before all was loaded
  std::map<std::uint64_t, std::function<void(const storage::outcome&)>> commits;
  std::map<std::uint64_t, work> works;
  std::map<std::uint64_t, std::function<void()>> later;
  std::unordered_map<uuid, std::deque<turn_taker>> turns; // an entry: somebody has the turn
  std::deque<std::pair<uuid, turn_taker>> turns_due;

  // accounts.cpp: life, answers, the store
  void load();
  void load_again();
  void opened();
  void drop_expired();
  promise take(std::function<void(ask_id)> handle);
  void answer(ask_id ask, api::reply what);
  void commit(const uuid& owner, std::vector<storage::part> parts,
              std::function<void(const storage::outcome&)> then);
  void commit_or_refuse(ask_id ask, const uuid& owner, std::vector<storage::part> parts,
                        std::function<void()> then);
  void run_later(std::uint32_t ms, std::function<void()> what);
  void run_due();
  void in_turn(const uuid& user, turn_taker taker);
  void turn_over(const uuid& user);
  template <class Fetch, class Then>
  void read(Fetch fetch, Then then, std::function<void()> failed);
  template <class Fetch, class Then>
  void read(ask_id ask, Fetch fetch, Then then) {
    read(std::move(fetch), std::move(then),
         [this, ask] { answer(ask, refusal_of(storage::failure::unavailable)); });
  }
  template <class Job, class Then>
  void on_pool(ask_id ask, Job job, Then then);
  [[nodiscard]] password_cost cost() const;
  [[nodiscard]] std::int64_t now() const { return svc->time->unix_ms(); }
  [[nodiscard]] std::int64_t access_life_ms() const;

  // account_sessions.cpp: sign-up, login, refresh
  void signup(ask_id ask, const api::signup& in);
  // Goes on with an account that is checked and has its password's hash.
  void prepare(ask_id ask, const api::signup& in, std::function<void(storage::account_row&)> then);
  void create(ask_id ask, const storage::account_row& row);
  void login(ask_id ask, const api::login& in);
  void sign_in(ask_id ask, const uuid& user, const std::string& verified_hash,
               const std::string& better_hash);
  void refresh(ask_id ask, const api::refresh& in, std::uint32_t round);
  void judge(ask_id ask, const api::refresh& in, const refresh_view& view, std::uint32_t round);
  void use(ask_id ask, const api::refresh& in, const refresh_view& view, std::uint32_t round);
  [[nodiscard]] std::optional<std::string> successor_of(const api::refresh& in,
                                                        const refresh_view& view) const;
  [[nodiscard]] new_session begin_session(const uuid& user) const;
  [[nodiscard]] storage::refresh_row refresh_row_of(const std::string& token, const uuid& family,
                                                    const uuid& user) const;
  void answer_signed_in(ask_id ask, storage::account_row row, const uuid& family, const std::string& refresh);

  // account_profile.cpp: whom tokens belong to, their end, the profile
  [[nodiscard]] result<tokens::access> check(const std::string& access_token) const;
  void identify(ask_id ask, const std::string& access_token);
  void remember(const storage::account_row& row);
  [[nodiscard]] std::int64_t revocations_kept_ms() const;
  void forget_old_revocations();
  void mark_revoked(const uuid& user, const uuid& family, std::int64_t at);
  void notify(const uuid& user, const uuid& family, std::uint32_t attempt);
  void revoke(ask_id ask, const uuid& user, const uuid& family, api::reply then);
  void logout(ask_id ask, const std::string& access_token, const api::logout& in);
  void get_me(ask_id ask, const std::string& access_token);
  void change_me(ask_id ask, const std::string& access_token, const api::change_me& in);
  void change_password(ask_id ask, const uuid& family, const api::change_me& in, storage::account_row row,
                       const turn_ptr& mine);
  void save_profile(ask_id ask, const storage::account_row& row, const turn_ptr& mine);
  void tell_name(const storage::account_row& row, const std::function<void()>& then);
  void end_families(const uuid& user, const uuid& keep, std::int64_t at, std::uint32_t attempt,
                    const std::function<void()>& then);

  // account_admin.cpp: what administrators do with accounts of others
  void add_user(ask_id ask, const person& by, const api::add_user& in);
  void change_user(ask_id ask, const person& by, const api::change_user& in);
  void new_secret(ask_id ask, const person& by, const api::change_user& in, const storage::account_row& old,
                  const turn_ptr& mine);
  void save_user(ask_id ask, const person& by, const api::change_user& in, const storage::account_row& old,
                 storage::account_row row, const turn_ptr& mine);
};

// Nothing of the password.
api::profile profile_of(storage::account_row row);
refusal taken_name();

accounts_self::behavior_type accounts(accounts_self::stateful_pointer<accounts_state> self,
                                      shared_services svc, std::shared_ptr<password_pool> pool);

// --- templates ----------------------------------------------------------------------------------------

template <class Fetch, class Then>
void accounts_state::read(Fetch fetch, Then then, std::function<void()> failed) {
  using value = std::invoke_result_t<Fetch, storage::reader&>;
  const auto ticket = next_ticket++;
  works[ticket] = {[then = std::move(then)](std::any& v) mutable { then(*std::any_cast<value>(&v)); },
                   std::move(failed)};
  read_into(
      self, svc->store, caf::actor_cast<accounts_self>(self),
      [ticket, fetch = std::move(fetch)](storage::reader& from) {
        return accounts_work{ticket, fetch(from)};
      },
      [ticket](const std::string& why) {
        spdlog::warn("accounts cannot read: {}", why);
        return accounts_work{ticket, {}};
      });
}

// Runs `job` on the password pool and goes on with what it returns.
template <class Job, class Then>
void accounts_state::on_pool(ask_id ask, Job job, Then then) {
  using value = std::invoke_result_t<Job>;
  const auto ticket = next_ticket++;
  works[ticket] = {[then = std::move(then)](std::any& v) mutable { then(*std::any_cast<value>(&v)); }, {}};
  const bool taken = pool->submit([ticket, job = std::move(job), to = caf::actor_cast<accounts_self>(self)] {
    caf::anon_send(to, accounts_work{ticket, job()});
  });
  if (taken) return;
  works.erase(ticket);
  answer(ask, refusal{code::overloaded, "too many are signing in; try again", limits::retry_after_ms});
}

} // namespace maru::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::accounts_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(maru::actors::accounts_tick)
