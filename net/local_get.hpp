#pragma once

#include <string>

namespace maru::net {

struct local_reply {
  int status = 0; // 0: nobody answered
  std::string body;
};

// One GET to a server of this machine, waited for; for the command line alone.
local_reply local_get(const std::string& address, const std::string& path, const std::string& token);

} // namespace maru::net
