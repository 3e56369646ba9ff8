#pragma once

// What a name, a password and a client's settings have to look like.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace maru::actors {

// Trimmed and in NFC; not empty, without control and invisible characters.
result<std::string> clean_username(const std::string& given);
result<std::string> clean_display_name(const std::string& given);
// How a username is compared.
std::string login_of(const std::string& clean_username);

inline constexpr std::string_view admin_role = "admin", user_role = "user";

refusal check_new_password(const std::string& given);
refusal check_client_settings(const std::string& given); // a JSON object, not deep, not big

} // namespace maru::actors
