#include "actors/account_rules.hpp"
#include "actors/accounts.hpp"

namespace maru::actors {

namespace {

// For the log: whoever has such a name cannot pass for the operator.
std::string name_of(const storage::account_row& row) {
  return "'" + row.username + "' (" + row.id.str() + ")";
}

refusal check_role(const std::string& given) {
  if (given == admin_role || given == user_role) return {};
  return {code::invalid_field, "role must be admin or user", 0};
}

api::user_view view_of(const storage::account_row& row) {
  return {{row.id, row.username, row.display_name, row.role, row.created_at}};
}

bool demotes(const storage::account_row& old, const storage::account_row& row) {
  return old.role == admin_role && row.role != admin_role;
}

// What was done, without what it was done with.
std::string deeds_of(const storage::account_row& old, const storage::account_row& row) {
  std::string out;
  if (row.role != old.role) out += " role=" + row.role;
  if (row.display_name != old.display_name) out += " display_name='" + row.display_name + "'";
  if (row.password_hash != old.password_hash) out += " with a new password";
  return out.empty() ? " nothing" : out;
}

} // namespace

void accounts_state::add_user(ask_id ask, const person& by, const api::add_user& in) {
  if (auto why = check_role(in.role)) return answer(ask, why);
  prepare(ask, {in.username, in.password, in.display_name},
          [this, ask, by, role = in.role](storage::account_row& row) {
            row.role = role;
            commit(row.id, {storage::create_account{row, true}},
                   [this, ask, by, id = row.id](const storage::outcome& how) {
                     if (how.why == storage::failure::conflict) return answer(ask, taken_name());
                     if (!how) return answer(ask, refusal_of(how.why));
                     // The store decides who is the first, and so an admin.
                     read(
                         ask, [id](storage::reader& from) { return from.account(id); },
                         [this, ask, by](const std::optional<storage::account_row>& row) {
                           if (!row) return answer(ask, refusal_of(storage::failure::unavailable));
                           spdlog::info("{} added {} role={}", name_of(by), name_of(*row), row->role);
                           answer(ask, view_of(*row));
                         });
                   });
          });
}

void accounts_state::change_user(ask_id ask, const person& by, const api::change_user& in) {
  auto wish = in;
  if (in.role)
    if (auto why = check_role(*in.role)) return answer(ask, why);
  if (in.new_password)
    if (auto why = check_new_password(*in.new_password)) return answer(ask, why);
  if (in.display_name) {
    const auto clean = clean_display_name(*in.display_name);
    if (!clean) return answer(ask, clean.error());
    wish.display_name = *clean;
  }
  in_turn(in.user, [this, ask, by, wish](const turn_ptr& mine) {
    read(
        ask, [user = wish.user](storage::reader& from) { return from.account(user); },
        [this, ask, by, wish, mine](const std::optional<storage::account_row>& old) {
          if (!old) return answer(ask, refusal{code::not_found, "there is no such user", 0});
          if (wish.new_password) return new_secret(ask, by, wish, *old, mine);
          save_user(ask, by, wish, *old, *old, mine);
        });
  });
}

void accounts_state::new_secret(ask_id ask, const person& by, const api::change_user& in,
                                const storage::account_row& old, const turn_ptr& mine) {
  on_pool(
      ask, [password = *in.new_password, cost = cost()] { return hash_password(password, cost); },
      [this, ask, by, in, old, mine](const std::optional<std::string>& hash) {
        if (!hash) return answer(ask, refusal_of(storage::failure::overloaded));
        auto row = old;
        row.password_hash = *hash;
        save_user(ask, by, in, old, row, mine);
      });
}

// Who lost a right, or has another password, is signed out everywhere: by the same step, before the reply.
void accounts_state::save_user(ask_id ask, const person& by, const api::change_user& in,
                               const storage::account_row& old, storage::account_row row,
                               const turn_ptr& mine) {
  if (in.role) row.role = *in.role;
  if (in.display_name) row.display_name = *in.display_name;
  const auto at = now();
  const bool demoted = demotes(old, row), sign_out = demoted || in.new_password;
  std::vector<storage::part> parts{storage::update_account{row}};
  if (demoted) parts.emplace_back(storage::keep_an_admin{});
  if (sign_out) parts.emplace_back(storage::revoke_account_families{row.id, std::nullopt, at});
  commit(row.id, std::move(parts), [=, this, held = mine](const storage::outcome& how) {
    if (demoted && how.why == storage::failure::conflict)
      return answer(ask, refusal{code::conflict, "this is the last admin; make another user one first", 0});
    if (!how) return answer(ask, refusal_of(how.why));
    spdlog::info("{} changed {}:{}", name_of(by), name_of(row), deeds_of(old, row));
    remember(row);
    tell_name(row, [=, this] {
      const auto reply = [this, ask, row] { answer(ask, view_of(row)); };
      if (sign_out) return end_families(row.id, uuid{}, at, 1, reply);
      reply();
    });
  });
}

} // namespace maru::actors
