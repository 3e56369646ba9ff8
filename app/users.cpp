#include "app/users.hpp"

#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "actors/account_rules.hpp"
#include "app/office.hpp"
#include "app/password.hpp"
#include "config/limits.hpp"

namespace maru::app {
namespace {

using nlohmann::json;
using missing = office::missing;

const std::string users_path = "/api/v1/admin/users";

void require(const refusal& why) {
  if (why) throw trouble{why.detail};
}

// As the server keeps it; so what is sent is text in any case.
std::string clean_name(const user_order& order) {
  const auto clean = actors::clean_username(order.name);
  if (!clean) throw trouble{clean.error().detail};
  return *clean;
}

std::string new_password(const user_order& order) {
  auto out = order.generate ? random_password() : ask_password();
  require(actors::check_new_password(out));
  return out;
}

json find(office& at, const std::string& name) {
  const auto users = at.ask("GET", users_path + "?username=" + in_query(name), {}).at("users");
  if (users.empty()) throw trouble{"there is no user '" + name + "'; `maru user list` shows who there is"};
  return users.at(0);
}

json change(office& at, const json& user, const json& to) {
  return at.ask("PATCH", users_path + "/" + user.at("id").get<std::string>(), to);
}

std::string text(const json& user, const char* key) { return user.at(key).get<std::string>(); }

void tell_password(const user_order& order, const std::string& password) {
  if (order.generate) std::cout << "Password: " << password << "\n";
}

void print_line(const json& user) {
  auto role = text(user, "role");
  role.resize(std::max<std::size_t>(role.size(), 5), ' ');
  std::cout << role << "  " << text(user, "created_at") << "  " << text(user, "username");
  if (text(user, "display_name") != text(user, "username"))
    std::cout << "  (" << text(user, "display_name") << ")";
  std::cout << "\n";
}

} // namespace

int add_user(const config::settings& settings, const user_order& order) {
  return carried_out(settings, [&] {
    json wish{{"username", clean_name(order)}, {"role", order.role}};
    if (!order.display_name.empty()) {
      const auto clean = actors::clean_display_name(order.display_name);
      if (!clean) throw trouble{clean.error().detail};
      wish["display_name"] = *clean;
    }
    const auto password = new_password(order);
    wish["password"] = password;
    office at(settings, missing::make);
    const auto user = at.ask("POST", users_path, wish);
    std::cout << "Added " << text(user, "username") << ", role " << text(user, "role");
    if (text(user, "role") != order.role) std::cout << ": the first user of a server is its admin";
    std::cout << ".\n";
    tell_password(order, password);
  });
}

int list_users(const config::settings& settings, const user_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    const auto first = users_path + "?limit=" + std::to_string(limits::users_page);
    print_all(order.json, [&](const auto& tell) { at.each(first, "users", tell); }, print_line);
  });
}

int set_role(const config::settings& settings, const user_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    const auto before = find(at, clean_name(order));
    const auto user = change(at, before, {{"role", order.role}});
    const bool signed_out = text(before, "role") == actors::admin_role && order.role != actors::admin_role;
    std::cout << text(user, "username") << " has the role " << text(user, "role")
              << (signed_out ? " now, and is signed out everywhere.\n" : " now.\n");
  });
}

// The database is not held while somebody thinks of a password: a server may start meanwhile.
int set_password(const config::settings& settings, const user_order& order) {
  return carried_out(settings, [&] {
    const auto user = find(*std::make_unique<office>(settings, missing::refuse), clean_name(order));
    const auto password = new_password(order);
    office at(settings, missing::refuse);
    change(at, user, {{"new_password", password}});
    std::cout << text(user, "username") << " has a new password, and is signed out everywhere.\n";
    tell_password(order, password);
  });
}

} // namespace maru::app
