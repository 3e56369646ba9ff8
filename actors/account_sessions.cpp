#include "actors/account_rules.hpp"
#include "actors/accounts.hpp"
#include "base/text.hpp"

namespace maru::actors {

namespace {

refusal wrong_login() { return {code::unauthenticated, "wrong username or password", 0}; }
refusal wrong_token() { return {code::unauthenticated, "the refresh token is not valid", 0}; }
refusal no_memory() {
  return {code::overloaded, "no memory to check a password; try again", limits::retry_after_ms};
}

result<storage::account_row> new_account(const api::signup& in, std::int64_t now) {
  const auto username = clean_username(in.username);
  if (!username) return username.error();
  if (auto why = check_new_password(in.password)) return why;
  const auto display_name = in.display_name.empty() ? username : clean_display_name(in.display_name);
  if (!display_name) return display_name.error();
  storage::account_row row;
  row.id = uuid::v7(now);
  row.login = login_of(*username);
  row.username = *username;
  row.display_name = *display_name;
  row.role = user_role;
  row.created_at = now;
  return row;
}

// What a successor is sealed for: the token before it.
std::string about_successor_of(const std::string& hash) { return "refresh" + hash; }

struct verified {
  bool ok = false;
  std::string better_hash; // of today's cost; "" when the old one has it
};

verified verify(const std::string& hash, const std::string& password, const password_cost& cost) {
  if (hash.empty()) { // nobody's: as slow as somebody's
    (void)hash_password(password, cost);
    return {};
  }
  verified out{password_matches(hash, password), ""};
  if (out.ok && needs_rehash(hash, cost)) out.better_hash = hash_password(password, cost).value_or("");
  return out;
}

} // namespace

refusal taken_name() { return {code::conflict, "this username is taken", 0}; }

// --- sign-up ------------------------------------------------------------------------------------------

void accounts_state::signup(ask_id ask, const api::signup& in) {
  if (svc->settings->auth.signup != config::signup_mode::open)
    return answer(ask, refusal{code::forbidden, "sign-up is not open on this server", 0});
  prepare(ask, in, [this, ask](storage::account_row& row) { create(ask, row); });
}

void accounts_state::prepare(ask_id ask, const api::signup& in,
                             std::function<void(storage::account_row&)> then) {
  const auto row = new_account(in, now());
  if (!row) return answer(ask, row.error());
  read(
      ask, [login = row->login](storage::reader& from) { return from.account_by_login(login).has_value(); },
      [this, ask, row = *row, password = in.password, then = std::move(then)](bool taken) {
        if (taken) return answer(ask, taken_name());
        on_pool(
            ask, [password, cost = cost()] { return hash_password(password, cost); },
            [this, ask, row, then](const std::optional<std::string>& hash) mutable {
              if (!hash) return answer(ask, no_memory());
              row.password_hash = *hash;
              then(row);
            });
      });
}

void accounts_state::create(ask_id ask, const storage::account_row& row) {
  auto session = begin_session(row.id);
  session.parts.insert(session.parts.begin(), storage::create_account{row, true});
  commit(row.id, std::move(session.parts),
         [this, ask, id = row.id, family = session.family,
          token = session.refresh](const storage::outcome& how) {
           if (how.why == storage::failure::conflict) return answer(ask, taken_name());
           if (!how) return answer(ask, refusal_of(how.why));
           // The store decides who is the first, and so the admin.
           read(
               ask, [id](storage::reader& from) { return from.account(id); },
               [this, ask, family, token](std::optional<storage::account_row>& row) {
                 if (!row) return answer(ask, refusal_of(storage::failure::unavailable));
                 answer_signed_in(ask, std::move(*row), family, token);
               });
         });
}

// --- login --------------------------------------------------------------------------------------------

void accounts_state::login(ask_id ask, const api::login& in) {
  if (in.password.size() > limits::password_bytes_most || !text::acceptable(in.password))
    return answer(ask, wrong_login());
  const auto username = clean_username(in.username);
  const auto login = username ? login_of(*username) : std::string{};
  read(
      ask, [login](storage::reader& from) { return from.account_by_login(login); },
      [this, ask, password = in.password](const std::optional<storage::account_row>& row) {
        const auto hash = row ? row->password_hash : std::string{};
        const auto id = row ? row->id : uuid{};
        on_pool(
            ask, [hash, password, cost = cost()] { return verify(hash, password, cost); },
            [this, ask, id, hash](const verified& how) {
              if (!how.ok) return answer(ask, wrong_login());
              sign_in(ask, id, hash, how.better_hash);
            });
      });
}

// The password may have been changed while it was checked: it is compared again in the account's turn.
void accounts_state::sign_in(ask_id ask, const uuid& user, const std::string& verified_hash,
                             const std::string& better_hash) {
  in_turn(user, [this, ask, user, verified_hash, better_hash](const turn_ptr& mine) {
    read(
        ask, [user](storage::reader& from) { return from.account(user); },
        [this, ask, verified_hash, better_hash, mine](std::optional<storage::account_row>& row) {
          if (!row || row->password_hash != verified_hash) return answer(ask, wrong_login());
          auto session = begin_session(row->id);
          if (!better_hash.empty()) {
            row->password_hash = better_hash;
            session.parts.insert(session.parts.begin(), storage::update_account{*row});
          }
          commit_or_refuse(ask, row->id, std::move(session.parts),
                           [this, ask, row = *row, family = session.family, token = session.refresh, mine] {
                             answer_signed_in(ask, row, family, token);
                           });
        });
  });
}

// --- refresh ------------------------------------------------------------------------------------------

void accounts_state::refresh(ask_id ask, const api::refresh& in, std::uint32_t round) {
  if (in.nonce.size() > limits::refresh_nonce_bytes || !text::acceptable(in.nonce))
    return answer(ask, refusal{code::invalid_field, "nonce is too long or not valid text", 0});
  if (in.refresh_token.size() > limits::token_bytes) return answer(ask, wrong_token());
  if (round > limits::refresh_rounds_most) return answer(ask, refusal_of(storage::failure::unavailable));
  read(
      ask,
      [hash = tokens::hash_of(in.refresh_token)](storage::reader& from) {
        refresh_view view;
        view.row = from.refresh(hash);
        if (!view.row) return view;
        // A successor is kept behind its hash.
        if (view.row->successor.size() > tokens::hash_bytes)
          view.successor = from.refresh(view.row->successor.substr(0, tokens::hash_bytes));
        view.family = from.family(view.row->family);
        view.account = from.account(view.row->account);
        return view;
      },
      [this, ask, in, round](const refresh_view& view) { judge(ask, in, view, round); });
}

void accounts_state::judge(ask_id ask, const api::refresh& in, const refresh_view& view,
                           std::uint32_t round) {
  if (!view.row || !view.family || !view.account || view.family->revoked_at || view.row->expires_at <= now())
    return answer(ask, wrong_token());
  if (!view.row->used_at) return use(ask, in, view, round);
  if (const auto token = successor_of(in, view))
    return answer_signed_in(ask, *view.account, view.family->id, *token);
  spdlog::warn("a refresh token of {} was used twice: its family ends", view.account->id.str());
  revoke(ask, view.account->id, view.family->id,
         refusal{code::unauthenticated, "this refresh token was used before", 0});
}

void accounts_state::use(ask_id ask, const api::refresh& in, const refresh_view& view, std::uint32_t round) {
  const auto& old = *view.row;
  const auto token = tokens::make_refresh();
  const auto next = refresh_row_of(token, old.family, old.account);
  const auto kept = next.hash + keys.seal(about_successor_of(old.hash), token);
  commit(old.account, {storage::use_refresh{old.hash, now(), in.nonce, kept}, storage::add_refresh{next}},
         [this, ask, in, round, token, account = *view.account,
          family = old.family](const storage::outcome& how) {
           // Another use was faster: then this one is a repetition, or a theft.
           if (how.why == storage::failure::conflict) return refresh(ask, in, round + 1);
           if (!how) return answer(ask, refusal_of(how.why));
           answer_signed_in(ask, account, family, token);
         });
}

// For a repetition whose reply was lost: what it was answered with, as long as that was not used either.
std::optional<std::string> accounts_state::successor_of(const api::refresh& in,
                                                        const refresh_view& view) const {
  const auto& old = *view.row;
  if (in.nonce.empty() || in.nonce != old.nonce) return std::nullopt;
  if (!view.successor || view.successor->used_at || view.successor->expires_at <= now()) return std::nullopt;
  return keys.open(about_successor_of(old.hash), std::string_view{old.successor}.substr(tokens::hash_bytes));
}

// --- what a sign-in gives -----------------------------------------------------------------------------

accounts_state::new_session accounts_state::begin_session(const uuid& user) const {
  new_session out;
  out.family = uuid::v7(now());
  out.refresh = tokens::make_refresh();
  out.parts.emplace_back(storage::create_family{{out.family, user, now(), std::nullopt}});
  out.parts.emplace_back(storage::add_refresh{refresh_row_of(out.refresh, out.family, user)});
  return out;
}

storage::refresh_row accounts_state::refresh_row_of(const std::string& token, const uuid& family,
                                                    const uuid& user) const {
  storage::refresh_row row;
  row.hash = tokens::hash_of(token);
  row.family = family;
  row.account = user;
  row.expires_at = now() + std::int64_t{svc->settings->auth.refresh_token_days} * limits::day_ms;
  return row;
}

void accounts_state::answer_signed_in(ask_id ask, storage::account_row row, const uuid& family,
                                      const std::string& refresh) {
  if (revoked.contains(family)) return answer(ask, wrong_token()); // while the commit was under way
  remember(row);
  api::signed_in out;
  out.access_token = keys.seal_access({row.id, family, now(), now() + access_life_ms()});
  out.expires_in = svc->settings->auth.access_token_seconds;
  out.refresh_token = refresh;
  out.user = profile_of(std::move(row)).user;
  answer(ask, std::move(out));
}

} // namespace maru::actors
