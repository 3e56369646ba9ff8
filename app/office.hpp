#pragma once

#include <functional>
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
  // Tells every item of a list, a page at a time, however many there are. `path` has a query already.
  void each(const std::string& path, const char* list,
            const std::function<void(const nlohmann::json&)>& tell);

private:
  class desk;
  class remote;
  class local;
  std::unique_ptr<desk> desk_;
};

// A command's work; what goes wrong is told on standard error. The exit status.
int carried_out(const config::settings& settings, const std::function<void()>& work);

// As it stands in the query of an address.
std::string in_query(const std::string& text);

// The items that `each` tells, one a line or as a JSON array.
using each_item = std::function<void(const std::function<void(const nlohmann::json&)>& tell)>;
void print_all(bool as_json, const each_item& each, const std::function<void(const nlohmann::json&)>& line);

} // namespace maru::app
