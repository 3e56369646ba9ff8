#include "tests/bench/house.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr int start_attempts = 10'000; // of a millisecond
constexpr int stop_attempts = 10'000;
constexpr double ns_per_ms = 1e6;

void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

} // namespace

test::fake_behaviour paced(std::size_t pieces, std::uint32_t delay_ms) {
  return [=](const test::fake_request& request) {
    test::fake_script script;
    script.generate = [=, question = request.question()](std::size_t index, test::fake_step& step) {
      if (index > pieces) return false;
      step.delay_ms = index == 0 ? 0 : delay_ms;
      step.bytes = index < pieces ? test::text_chunk(test::expected_piece(question, index))
                                  : test::finish_chunk() + test::usage_chunk(7, pieces) + test::done_event();
      return true;
    };
    return script;
  };
}

struct house::setup {
  explicit setup(std::uint16_t port) : http(port) {}
  http_client http;
};

house::house(const house_options& options, std::size_t pieces, std::uint32_t delay_ms)
    : model_(std::make_unique<test::fake_model>(paced(pieces, delay_ms))), keep_(options.keep) {
  auto name = (options.folder / "maru-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder in " + name);
  folder_ = name;
  if (keep_) std::fprintf(stderr, "in %s\n", name.c_str());
  write_config(options);
  start(options);
  setup_ = std::make_unique<setup>(port_);
}

house::~house() {
  stop();
  std::error_code ignored;
  if (!keep_) std::filesystem::remove_all(folder_, ignored);
}

void house::write_config(const house_options&) {
  std::ofstream out(folder_ / "maru.toml");
  out << "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"" << (folder_ / "data").string()
      << "\"\nstatic = \"off\"\n[auth]\nargon2_memory_kib = 1024\nargon2_passes = 1\n"
      << "[limits]\nconnections_per_user = 0\nmessages_per_minute_per_user = 0\n"
      << "questions_waiting_per_user = 0\nrequests_per_minute_per_address = 0\n"
      << "signups_per_minute_per_address = 0\n[log]\nlevel = \"warn\"\n"
      << "[[provider]]\nname = \"fake\"\nkind = \"openai\"\nurl = \"" << model_->url()
      << "\"\npool = 1024\n[[agent]]\nname = \"maru\"\nprovider = \"fake\"\nmodel = \"fake-model\"\n";
}

void house::start(const house_options& options) {
  const auto config = (folder_ / "maru.toml").string();
  std::vector<std::string> words{options.server, "serve", "--config", config};
  for (const auto& one : options.sets)
    words.insert(words.end(), {"--set", one});
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const auto begin = now_ns();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  // The server writes this file once it listens.
  const auto control = folder_ / "data" / "maru.control";
  for (int i = 0; i < start_attempts && port_ == 0; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("the server ended at once: " + options.server);
    }
    std::ifstream in(control);
    const auto json = in ? nlohmann::json::parse(in, nullptr, false) : nlohmann::json();
    if (json.is_object()) {
      const auto address = json.value("address", "");
      port_ = static_cast<std::uint16_t>(number(std::string_view(address).substr(address.rfind(':') + 1)));
      ready_ms_ = static_cast<double>(now_ns() - begin) / ns_per_ms;
    } else {
      pause();
    }
  }
  if (port_ == 0) throw std::runtime_error("the server does not listen");
}

void house::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < stop_attempts; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return;
    pause();
  }
  std::fprintf(stderr, "the server did not end by itself\n");
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

usage house::used() const {
  usage out;
  const auto proc = "/proc/" + std::to_string(pid_);
  std::ifstream stat(proc + "/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  // The name, in brackets, may hold anything; utime and stime are the 12th and 13th word after it.
  std::istringstream words(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string word;
  for (int i = 1; words >> word; ++i)
    if (i == 12 || i == 13)
      out.cpu_seconds += static_cast<double>(number(word)) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) out.resident_kb = std::stod(line.substr(6));
  return out;
}

double house::model_first_piece_ms() const {
  constexpr int tries = 21;
  http_client http(model_->port());
  std::vector<std::int64_t> took;
  for (int i = 0; i < tries; ++i)
    took.push_back(http.time_to("/v1/chat/completions",
                                R"({"model":"m","stream":true,"messages":[{"role":"user","content":"q"}]})",
                                "\"content\":"));
  std::nth_element(took.begin(), took.begin() + tries / 2, took.end());
  return static_cast<double>(took[tries / 2]) / ns_per_ms;
}

account house::sign_up(const std::string& name) {
  const auto reply = setup_->http.post(
      "/api/v1/signup", "", nlohmann::json{{"username", name}, {"password", "a good password"}}.dump());
  if (reply.status != 201)
    throw std::runtime_error("signing up: " + std::to_string(reply.status) + " " + reply.body);
  return {std::string(field(reply.body, "\"access_token\""))};
}

std::string house::make_room(const account& by) {
  const auto reply = setup_->http.post("/api/v1/rooms", by.token, R"({"title":"bench","agents":["maru"]})");
  if (reply.status != 201)
    throw std::runtime_error("making a room: " + std::to_string(reply.status) + " " + reply.body);
  return nlohmann::json::parse(reply.body).value("id", "");
}

} // namespace maru::bench
