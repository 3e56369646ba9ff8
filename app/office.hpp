#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "config/settings.hpp"

namespace maru::app {

// What went wrong, and what to do about it; for the one at the command line.
struct trouble : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where the operator's commands are carried out: by the server that runs on the data directory, or, while
// none does, on the data itself, by the same code. Whether one runs is told by the lock of the database
// alone: what a killed server left behind is not believed.
class office {
public:
  enum class missing : std::uint8_t { refuse, make }; // a database that is not there

  office(const config::settings& settings, missing database); // throws trouble
  ~office();
  office(const office&) = delete;
  office& operator=(const office&) = delete;

  // What the admin API replies. Throws trouble when it refuses.
  nlohmann::json ask(const std::string& method, const std::string& path, const nlohmann::json& body);

private:
  class desk;
  class remote;
  class local;
  std::unique_ptr<desk> desk_;
};

} // namespace maru::app
