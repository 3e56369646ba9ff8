#include "tests/bench/house.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <stdlib.h>

#include <nlohmann/json.hpp>

namespace maru::bench {
namespace {

constexpr auto start_step = std::chrono::microseconds(300);
constexpr std::int64_t start_patience_ns = 60'000'000'000;
constexpr double ns_per_ms = 1e6;
constexpr auto password = "a good password";

// How many pieces a partial answer holds.
std::size_t pieces_in(std::string_view prefix, std::string_view question) {
  std::size_t n = 0;
  while (!prefix.empty()) {
    const auto piece = test::expected_piece(question, n);
    if (!prefix.starts_with(piece)) break;
    prefix.remove_prefix(piece.size());
    ++n;
  }
  return n;
}

} // namespace

test::fake_behaviour paced(std::size_t pieces, std::uint32_t delay_ms) {
  return [=](const test::fake_request& request) {
    test::fake_script script;
    auto question = request.question();
    const auto first = pieces_in(request.prefix(), question);
    script.generate = [=, question = std::move(question)](std::size_t step_index, test::fake_step& step) {
      const auto index = first + step_index;
      if (index > pieces) return false;
      step.delay_ms = step_index == 0 ? 0 : delay_ms;
      step.bytes = index < pieces ? test::text_chunk(test::expected_piece(question, index))
                                  : test::finish_chunk() + test::usage_chunk(7, pieces) + test::done_event();
      return true;
    };
    return script;
  };
}

// --- any server -------------------------------------------------------------------------------------------

place::place(const model_options& model) : model_(paced(model.pieces, model.delay_ms)) {}

place::~place() { server_.stop(); }

double place::start_and_wait(std::vector<std::string> words, const std::string& path) {
  const auto begin = now_ns();
  const auto program = words.front();
  server_.start(std::move(words));
  while (now_ns() - begin < start_patience_ns) {
    if (http_client(port_).get(path).status == 200) return static_cast<double>(now_ns() - begin) / ns_per_ms;
    if (server_.ended()) throw std::runtime_error("the server ended at once: " + program);
    std::this_thread::sleep_for(start_step);
  }
  throw std::runtime_error("the server does not listen: " + program);
}

double place::model_first_piece_ms() const {
  constexpr int tries = 21;
  std::vector<std::int64_t> took;
  for (int i = 0; i < tries; ++i)
    took.push_back(http_client(model_.port())
                       .time_to("/v1/chat/completions",
                                R"({"model":"m","stream":true,"messages":[{"role":"user","content":"q"}]})",
                                "\"content\":"));
  std::nth_element(took.begin(), took.begin() + tries / 2, took.end());
  return static_cast<double>(took[tries / 2]) / ns_per_ms;
}

// --- maru -------------------------------------------------------------------------------------------------

house::house(const house_options& options, const model_options& model, const std::filesystem::path& data)
    : place(model), options_(options) {
  auto name = (options.folder / "maru-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder in " + name);
  folder_ = name;
  if (options.keep) std::fprintf(stderr, "in %s\n", name.c_str());
  write_config(model, data.empty() ? folder_ / "data" : data);
  start();
}

house::~house() {
  server_.stop();
  std::error_code ignored;
  if (!options_.keep) std::filesystem::remove_all(folder_, ignored);
}

void house::write_config(const model_options& model, const std::filesystem::path& data) const {
  std::ofstream out(folder_ / "maru.toml");
  out << "[server]\nlisten = \"127.0.0.1:" << port_ << "\"\ndata = \"" << data.string()
      << "\"\nstatic = \"off\"\n[auth]\nargon2_memory_kib = 1024\nargon2_passes = 1\n"
      << "[limits]\nconnections_per_user = 0\nmessages_per_minute_per_user = 0\n"
      << "questions_waiting_per_user = 0\nrequests_per_minute_per_address = 0\n"
      << "signups_per_minute_per_address = 0\n[log]\nlevel = \"warn\"\n"
      << "[[provider]]\nname = \"fake\"\nkind = \"openai\"\nurl = \"" << model_.url()
      << "\"\npool = 1024\nrecovery = \"" << model.recovery
      << "\"\n[[agent]]\nname = \"maru\"\nprovider = \"fake\"\nmodel = \"fake-model\"\n";
}

std::vector<std::string> house::command() const {
  std::vector<std::string> words{options_.server, "serve", "--config", (folder_ / "maru.toml").string()};
  for (const auto& one : options_.sets)
    words.insert(words.end(), {"--set", one});
  return words;
}

void house::start() {
  http_.reset();
  ready_ms_ = start_and_wait(command(), "/readyz");
  http_ = std::make_unique<http_client>(port_);
}

void house::begin_start() {
  http_.reset();
  server_.start(command());
}

account house::let_in(const std::string& path, const std::string& name, int status) {
  const auto reply = http_->post(path, "", nlohmann::json{{"username", name}, {"password", password}}.dump());
  if (reply.status != status)
    throw std::runtime_error(path + ": " + std::to_string(reply.status) + " " + reply.body);
  const auto json = nlohmann::json::parse(reply.body);
  return {json.at("user").value("id", ""), json.value("access_token", "")};
}

std::string house::make_room(const account& by) {
  const auto reply = http_->post("/api/v1/rooms", by.token, R"({"title":"bench","agents":["maru"]})");
  if (reply.status != 201)
    throw std::runtime_error("making a room: " + std::to_string(reply.status) + " " + reply.body);
  return nlohmann::json::parse(reply.body).value("id", "");
}

std::string house::take_token(std::size_t number) { return sign_up("user" + std::to_string(number)).token; }

seat house::take_seat(std::size_t number) {
  const auto who = sign_up("user" + std::to_string(number));
  return {who.token, make_room(who)};
}

} // namespace maru::bench
