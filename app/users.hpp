#pragma once

#include <string>

#include "config/settings.hpp"

namespace maru::app {

// What `maru user …` was asked to do.
struct user_order {
  std::string name, display_name, role = "user";
  bool generate = false; // a random password
  bool json = false;
};

// Each gives the exit status.
int add_user(const config::settings& settings, const user_order& order);
int list_users(const config::settings& settings, const user_order& order);
int set_role(const config::settings& settings, const user_order& order);
int set_password(const config::settings& settings, const user_order& order);

} // namespace maru::app
