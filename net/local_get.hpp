#pragma once

#include <string>

namespace maru::net {

struct local_request {
  std::string method = "GET", path, token, body;
};

struct local_reply {
  int status = 0; // 0: nobody answered
  std::string body;
};

// One call to a server of this machine, waited for; for the command line alone.
local_reply local_call(const std::string& address, const local_request& what);

inline local_reply local_get(const std::string& address, const std::string& path, const std::string& token) {
  return local_call(address, {"GET", path, token, ""});
}

} // namespace maru::net
