#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <nlohmann/json.hpp>

#include "actors/account_rules.hpp"
#include "actors/api.hpp"
#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

const refusal gone{code::overloaded, "this was interrupted; try again", limits::retry_after_ms};

storage::account_summary summary_of(storage::account_row row) {
  return {row.id, std::move(row.username), std::move(row.display_name), std::move(row.role), row.created_at};
}

std::string_view word(child_state state) {
  switch (state) {
  case child_state::running:
    return "running";
  case child_state::stopping:
    return "stopping";
  case child_state::backing_off:
    return "backing_off";
  case child_state::down:
    break;
  }
  return "down";
}

nlohmann::json json_of(const std::vector<child_health>& children) {
  const auto or_null = [](bool known, auto value) {
    return known ? nlohmann::json(value) : nlohmann::json();
  };
  auto list = nlohmann::json::array();
  for (const auto& c : children)
    list.push_back({{"name", c.name},
                    {"running", c.state == child_state::running},
                    {"state", word(c.state)},
                    {"restarts", c.restarts},
                    {"restarts_in_period", c.recent},
                    {"last_error", c.last_error},
                    {"last_error_at", or_null(c.last_error_at > 0, c.last_error_at)},
                    {"messages", c.messages},
                    {"waited_ms", c.waited_ms},
                    {"waits_for", or_null(!c.waits_for.empty(), c.waits_for)},
                    {"work_waits_ms", c.work_waits_ms}});
  return list;
}

nlohmann::json json_of(const root_health& root) {
  auto list = json_of(root.children);
  for (auto& c : list) {
    c["restarts_most"] = root.restarts_most;
    c["period_seconds"] = root.period_seconds;
  }
  return list;
}

void add_to(nlohmann::json& child, const nursery_health& nursery) {
  child["children"] = json_of(nursery.children);
  child["living"] = nursery.living;
  child["backing_off"] = nursery.backing_off;
  child["fallen_in_period"] = nursery.crashed;
  child["fallen_most"] = nursery.crashed_most;
  child["fallen_period_seconds"] = nursery.period_seconds;
}

} // namespace

void api_state::administer(const person& by, api::request& what, api::replied tell) {
  if (std::holds_alternative<api::get_tree>(what)) return tree(std::move(tell));
  if (std::holds_alternative<api::may_observe>(what)) return tell(api::nothing{});
  if (const auto* r = std::get_if<api::list_users>(&what)) return list_users(*r, std::move(tell));
  if (mailboxes(by, what, tell)) return;
  self->request(svc->accounts, caf::infinite, by, std::move(what))
      .then([tell](api::reply& reply) { tell(std::move(reply)); }, [tell](const caf::error&) { tell(gone); });
}

void api_state::list_users(const api::list_users& what, api::replied tell) {
  const auto after = what.cursor ? uuid::parse(*what.cursor) : uuid{};
  if (!after) return tell(refusal{code::invalid_field, "cursor: use `next` of the page before"});
  std::optional<std::string> login;
  if (what.username) {
    const auto clean = clean_username(*what.username);
    if (!clean) return tell(api::users_view{}); // nobody can have such a name
    login = login_of(*clean);
  }
  const auto most = std::clamp<std::size_t>(what.limit, 1, limits::users_page);
  run_read read;
  read.job = [after = *after, login, most, tell](storage::reader& from) {
    api::users_view view;
    if (login) {
      if (auto found = from.account_by_login(*login)) view.users.push_back(summary_of(std::move(*found)));
      return tell(std::move(view));
    }
    view.users = from.accounts(after, most);
    if (view.users.size() == most) view.next = view.users.back().id.str();
    tell(std::move(view));
  };
  read.failed = [tell](const std::string&) { tell(refusal_of(storage::failure::unavailable)); };
  self->send(svc->store, std::move(read));
}

void api_state::tree(api::replied tell) {
  self->request(svc->root, caf::infinite, tree_atom::value)
      .then([this, tell](const root_health& root) { tree_of(0, json_of(root).dump(), tell); },
            [tell](const caf::error&) { tell(gone); });
}

// The nurseries' own children, one nursery after the other.
void api_state::tree_of(std::size_t at, std::string json, api::replied tell) {
  const std::vector<std::pair<std::string, nursery_actor>> nurseries{
      {"rooms", svc->rooms}, {"agents", svc->agents}, {"users", svc->users}, {"sessions", svc->sessions}};
  if (at == nurseries.size()) return tell(api::tree_view{std::move(json)});
  self->request(nurseries[at].second, caf::infinite, tree_atom::value)
      .then(
          [this, at, json, tell, name = nurseries[at].first](const nursery_health& nursery) {
            auto tree = nlohmann::json::parse(json);
            for (auto& c : tree)
              if (c["name"] == name) add_to(c, nursery);
            tree_of(at + 1, tree.dump(), tell);
          },
          [tell](const caf::error&) { tell(gone); });
}

} // namespace maru::actors
