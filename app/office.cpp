#include "app/office.hpp"

#include <cstdlib>
#include <iostream>
#include <utility>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "actors/node.hpp"
#include "app/control.hpp"
#include "app/database.hpp"
#include "app/logs.hpp"
#include "net/inner_call.hpp"
#include "net/local_get.hpp"

namespace maru::app {
namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "maru: " << why << std::endl;
  std::_Exit(EXIT_FAILURE);
}

std::string word_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

trouble refused(int status, const nlohmann::json& problem) {
  auto detail = word_of(problem, "detail");
  if (detail.empty()) detail = word_of(problem, "title");
  if (detail.empty()) detail = "it answered with " + std::to_string(status);
  return trouble{detail};
}

void require_access(const config::settings& settings, office::missing database) {
  const auto& data = settings.server.data;
  std::error_code ignored;
  if (std::filesystem::exists(data, ignored) && ::access(data.c_str(), R_OK | W_OK | X_OK) != 0)
    throw trouble{"the data directory " + data.string() +
                  " is not open to you; run this as the user that the server runs as"};
  const auto file = database_file(settings);
  if (!file || std::filesystem::exists(*file, ignored)) return;
  if (const auto why = closed_to_owner(settings); !why.empty())
    throw trouble{why + ", or start the server first"};
  if (database == office::missing::make) return;
  throw trouble{"there is no server and no database at " + file->string() +
                "; name the data directory with --config FILE or --set server.data=DIR"};
}

} // namespace

class office::desk {
public:
  virtual ~desk() = default;
  virtual net::local_reply call(net::local_request what) = 0;
};

class office::remote final : public desk {
public:
  explicit remote(control where) : where_(std::move(where)) {}
  net::local_reply call(net::local_request what) override {
    what.token = where_.token;
    auto reply = net::local_call(where_.address, what);
    if (reply.status == 0)
      throw trouble{"the server at " + where_.address + " (process " + std::to_string(where_.pid) +
                    ") does not answer; whether this was done is not known"};
    return reply;
  }

private:
  const control where_;
};

class office::local final : public desk {
public:
  local(const config::settings& settings, std::shared_ptr<storage::store> db)
      : settings_(std::make_shared<const config::settings>(settings)), on_(1), node_(options(std::move(db))) {
  }
  net::local_reply call(net::local_request what) override {
    what.token = token_;
    return net::inner_call(node_, *settings_, what);
  }

private:
  actors::node_options options(std::shared_ptr<storage::store> db) {
    actors::node_options out;
    out.settings = settings_;
    out.db = std::move(db);
    out.time = &system_clock();
    out.node_name = "local";
    out.control_token = token_;
    out.without_agents = true;
    out.on = &on_;
    out.gave_up = give_up;
    return out;
  }

  const std::shared_ptr<const config::settings> settings_;
  const std::string token_ = random_token();
  loops on_;
  actors::node node_;
};

office::office(const config::settings& settings, missing database) {
  require_access(settings, database);
  try {
    const auto counts = std::make_shared<metrics>();
    auto db = open_store(settings, give_up, counts);
    desk_ = std::make_unique<local>(settings, std::move(db));
  } catch (const storage::open_error& e) {
    if (e.held_by == 0) throw trouble{e.detail};
    auto control = read_control(settings.server.data);
    if (!control || control->pid != e.held_by)
      throw trouble{"the database is in use by a process that takes no commands (" +
                    (e.held_by > 0 ? std::to_string(e.held_by) : std::string{"unknown"}) +
                    "): a server that is starting, or another command; try again in a moment"};
    desk_ = std::make_unique<remote>(std::move(*control));
  }
}

office::~office() = default;

nlohmann::json office::ask(const std::string& method, const std::string& path, const nlohmann::json& body) {
  const auto reply = desk_->call({method, path, "", body.is_null() ? "" : body.dump()});
  auto out = nlohmann::json::parse(reply.body, nullptr, false);
  if (reply.status < 200 || reply.status >= 300) throw refused(reply.status, out);
  if (!out.is_object()) throw trouble{"the server's answer cannot be read; is it of this version?"};
  return out;
}

void office::each(const std::string& path, const char* list,
                  const std::function<void(const nlohmann::json&)>& tell) {
  for (auto next = path; !next.empty();) {
    const auto page = ask("GET", next, {});
    for (const auto& item : page.at(list))
      tell(item);
    const auto& cursor = page.at("next");
    next = cursor.is_null() ? "" : path + "&cursor=" + in_query(cursor.get<std::string>());
  }
}

int carried_out(const config::settings& settings, const std::function<void()>& work) {
  try {
    set_up_logs(settings.log);
    work();
  } catch (const trouble& e) {
    std::cerr << "maru: " << e.what() << "\n";
    return EXIT_FAILURE;
  } catch (const nlohmann::json::exception&) {
    std::cerr << "maru: the server's answer cannot be read; is it of this version?\n";
    return EXIT_FAILURE;
  }
  return std::cout.flush() ? EXIT_SUCCESS : EXIT_FAILURE;
}

std::string in_query(const std::string& text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const auto c : text) {
    const auto byte = static_cast<unsigned char>(c);
    (out += '%') += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

void print_all(bool as_json, const each_item& each, const std::function<void(const nlohmann::json&)>& line) {
  if (!as_json) return each(line);
  const char* before = "[\n";
  each([&](const nlohmann::json& item) { std::cout << std::exchange(before, ",\n") << item.dump(); });
  std::cout << (*before == '[' ? "[]\n" : "\n]\n");
}

} // namespace maru::app
