#include "actors/account_rules.hpp"
#include "actors/accounts.hpp"

namespace maru::actors {

namespace {

refusal not_signed_in() { return {code::unauthenticated, "the access token is not valid", 0}; }

refusal check_change(const api::change_me& in) {
  if (in.settings)
    if (auto why = check_client_settings(*in.settings)) return why;
  if (!in.new_password) return {};
  if (!in.password) return {code::invalid_field, "the current password is missing", 0};
  if (in.password->size() > limits::password_bytes_most)
    return {code::forbidden, "the current password is wrong", 0};
  return check_new_password(*in.new_password);
}

struct rehashed {
  bool matches = false;
  std::optional<std::string> hash;
};

} // namespace

api::profile profile_of(storage::account_row row) {
  return {{row.id, std::move(row.username), std::move(row.display_name), std::move(row.role),
           std::move(row.settings), row.created_at}};
}

// --- whom a token belongs to --------------------------------------------------------------------------

// A token is never honoured longer than today's settings say: revocations are remembered for just as long.
result<tokens::access> accounts_state::check(const std::string& access_token) const {
  const auto opened = keys.open_access(access_token);
  if (!opened || now() >= opened->expires_at || now() >= opened->issued_at + access_life_ms() ||
      revoked.contains(opened->family))
    return not_signed_in();
  return *opened;
}

void accounts_state::identify(ask_id ask, const std::string& access_token) {
  const auto who = check(access_token);
  if (!who) return answer(ask, who.error());
  if (const auto it = identities.find(who->user);
      it != identities.end() && now() < it->second.read_at + limits::identity_cached_ms) {
    auto& known = it->second;
    identity_order.splice(identity_order.end(), identity_order, known.place);
    return answer(ask, identity{who->user, who->family, known.username, known.display_name, known.role});
  }
  auto& waiting = identity_asks[who->user];
  waiting.push_back({ask, who->family});
  if (waiting.size() > 1) return;
  const auto tell = [this, user = who->user](const std::function<api::reply(const identity_ask&)>& reply) {
    const auto waiting = identity_asks.extract(user);
    for (const auto& w : waiting.mapped())
      answer(w.ask, reply(w));
  };
  read([user = who->user](storage::reader& from) { return from.account(user); },
       [this, tell, asked_at = now()](const std::optional<storage::account_row>& row) {
         if (row) {
           // What was changed meanwhile is newer than what was read.
           const auto it = identities.find(row->id);
           if (it == identities.end() || it->second.read_at < asked_at) remember(*row);
         }
         tell([&](const identity_ask& w) -> api::reply {
           if (!row || revoked.contains(w.family)) return not_signed_in();
           return identity{row->id, w.family, row->username, row->display_name, row->role};
         });
       },
       [tell] {
         tell([](const identity_ask&) -> api::reply { return refusal_of(storage::failure::unavailable); });
       });
}

void accounts_state::remember(const storage::account_row& row) {
  auto [it, is_new] = identities.try_emplace(row.id);
  if (is_new)
    it->second.place = identity_order.insert(identity_order.end(), row.id);
  else
    identity_order.splice(identity_order.end(), identity_order, it->second.place);
  it->second.username = row.username;
  it->second.display_name = row.display_name;
  it->second.role = row.role;
  it->second.read_at = now();
  if (identities.size() <= limits::identities_cached) return;
  identities.erase(identity_order.front());
  identity_order.pop_front();
}

// --- the end of families ------------------------------------------------------------------------------

std::int64_t accounts_state::revocations_kept_ms() const {
  return std::max(access_life_ms(), limits::identity_to_session_ms) + limits::token_clock_slack_ms;
}

void accounts_state::forget_old_revocations() {
  const auto keep = revocations_kept_ms();
  while (!revoked_order.empty() && revoked_order.front().first + keep < now()) {
    revoked.erase(revoked_order.front().second);
    revoked_order.pop_front();
  }
}

void accounts_state::mark_revoked(const uuid& user, const uuid& family, std::int64_t at) {
  forget_old_revocations();
  if (revoked.emplace(family, at).second) revoked_order.emplace_back(at, family);
  notify(user, family, 1);
}

// The person's actor closes the family's connections.
void accounts_state::notify(const uuid& user, const uuid& family, std::uint32_t attempt) {
  if (!svc->directory) return;
  self->request(svc->directory, caf::infinite, user_atom::value, user)
      .then([this, family](const user_actor& found) { self->send(found, family); },
            [this, user, family, attempt](const caf::error& why) {
              if (attempt >= limits::notify_attempts_most)
                return spdlog::error("user {} cannot be told of a revoked sign-in: {}", user.str(),
                                     self->system().render(why));
              run_later(limits::resend_after_ms * attempt,
                        [this, user, family, attempt] { notify(user, family, attempt + 1); });
            });
}

void accounts_state::revoke(ask_id ask, const uuid& user, const uuid& family, api::reply then) {
  const auto at = now();
  commit_or_refuse(ask, user, {storage::revoke_family{family, at}},
                   [this, ask, user, family, at, then = std::move(then)] {
                     mark_revoked(user, family, at);
                     answer(ask, then);
                   });
}

void accounts_state::logout(ask_id ask, const std::string& access_token, const api::logout& in) {
  const auto opened = keys.open_access(access_token);
  if (opened && now() < opened->expires_at + limits::logout_grace_ms) {
    if (revoked.contains(opened->family)) return answer(ask, api::nothing{});
    return revoke(ask, opened->user, opened->family, api::nothing{});
  }
  if (in.refresh_token.empty() || in.refresh_token.size() > limits::token_bytes)
    return answer(ask, not_signed_in());
  read(
      ask, [hash = tokens::hash_of(in.refresh_token)](storage::reader& from) { return from.refresh(hash); },
      [this, ask](const std::optional<storage::refresh_row>& row) {
        if (!row) return answer(ask, not_signed_in());
        revoke(ask, row->account, row->family, api::nothing{});
      });
}

// --- the profile --------------------------------------------------------------------------------------

void accounts_state::get_me(ask_id ask, const std::string& access_token) {
  const auto who = check(access_token);
  if (!who) return answer(ask, who.error());
  read(
      ask, [user = who->user](storage::reader& from) { return from.account(user); },
      [this, ask](std::optional<storage::account_row>& row) {
        if (!row) return answer(ask, not_signed_in());
        answer(ask, profile_of(std::move(*row)));
      });
}

void accounts_state::change_me(ask_id ask, const std::string& access_token, const api::change_me& in) {
  const auto who = check(access_token);
  if (!who) return answer(ask, who.error());
  if (auto why = check_change(in)) return answer(ask, why);
  std::optional<std::string> display_name;
  if (in.display_name) {
    const auto clean = clean_display_name(*in.display_name);
    if (!clean) return answer(ask, clean.error());
    display_name = *clean;
  }
  in_turn(who->user, [this, ask, who = *who, in, display_name](const turn_ptr& mine) {
    read(
        ask, [user = who.user](storage::reader& from) { return from.account(user); },
        [this, ask, who, in, display_name, mine](std::optional<storage::account_row>& row) {
          if (!row || revoked.contains(who.family)) return answer(ask, not_signed_in());
          if (display_name) row->display_name = *display_name;
          if (in.settings) row->settings = *in.settings;
          if (in.new_password) return change_password(ask, who.family, in, std::move(*row), mine);
          save_profile(ask, *row, mine);
        });
  });
}

void accounts_state::save_profile(ask_id ask, const storage::account_row& row, const turn_ptr& mine) {
  commit_or_refuse(ask, row.id, {storage::update_account{row}}, [this, ask, row, mine] {
    remember(row);
    tell_name(row, [this, ask, row] { answer(ask, profile_of(row)); });
  });
}

// Sockets that are open bring the old name; whoever lives is told before the reply.
void accounts_state::tell_name(const storage::account_row& row, const std::function<void()>& then) {
  if (!svc->directory) return then();
  self->request(svc->directory, caf::infinite, user_atom::value, row.id)
      .then(
          [this, then, name = row.display_name](const user_actor& found) {
            self->send(found, name);
            then();
          },
          [then](const caf::error&) { then(); });
}

void accounts_state::change_password(ask_id ask, const uuid& family, const api::change_me& in,
                                     storage::account_row row, const turn_ptr& mine) {
  auto job = [cost = cost(), old_hash = row.password_hash, old = *in.password, fresh = *in.new_password] {
    rehashed out{password_matches(old_hash, old), std::nullopt};
    if (out.matches) out.hash = hash_password(fresh, cost);
    return out;
  };
  on_pool(ask, std::move(job), [this, ask, family, row = std::move(row), mine](const rehashed& how) mutable {
    if (!how.matches) return answer(ask, refusal{code::forbidden, "the current password is wrong", 0});
    if (!how.hash) return answer(ask, refusal_of(storage::failure::overloaded));
    row.password_hash = *how.hash;
    const auto at = now();
    commit_or_refuse(
        ask, row.id, {storage::update_account{row}, storage::revoke_account_families{row.id, family, at}},
        [this, ask, row, family, at, mine] {
          remember(row);
          end_families(row.id, family, at, 1, [this, ask, row] { answer(ask, profile_of(row)); });
        });
  });
}

// They are revoked on disk; here they are found, so that their access tokens and connections end, too.
// If they cannot be found, the actor starts again, and with that from what is on disk.
void accounts_state::end_families(const uuid& user, const uuid& keep, std::int64_t at, std::uint32_t attempt,
                                  const std::function<void()>& then) {
  read([at](storage::reader& from) { return from.families_revoked_since(at); },
       [this, user, keep, then](const std::vector<storage::family_row>& families) {
         for (const auto& f : families)
           if (f.account == user && f.id != keep) mark_revoked(f.account, f.id, *f.revoked_at);
         then();
       },
       [this, user, keep, at, attempt, then] {
         if (attempt >= limits::notify_attempts_most)
           return self->quit(caf::make_error(caf::sec::runtime_error, "revoked families cannot be read"));
         run_later(limits::resend_after_ms * attempt,
                   [=, this] { end_families(user, keep, at, attempt + 1, then); });
       });
}

} // namespace maru::actors
