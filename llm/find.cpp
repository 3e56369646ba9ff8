#include "llm/find.hpp"

#include <chrono>
#include <cstdlib>
#include <future>

#include <nlohmann/json.hpp>

#include "config/limits.hpp"
#include "llm/url.hpp"
#include "llm/wire.hpp"

namespace maru::llm {
namespace {

using json = nlohmann::json;

// Holds a whole reply, within bounds.
class whole_reply final : public wire::sink {
public:
  wire::verdict on_head(const wire::head& what) override {
    good_ = what.status == 200;
    return good_ ? wire::verdict::wait : finish();
  }
  wire::verdict on_body(std::string_view bytes) override {
    if (body_.size() + bytes.size() > limits::ollama_list_bytes) {
      good_ = false;
      return finish();
    }
    body_ += bytes;
    return wire::verdict::wait;
  }
  void on_end(wire::end how, std::string_view) override {
    good_ = good_ && how == wire::end::complete;
    finish();
  }

  std::future<std::string> result() { return told_.get_future(); }

private:
  wire::verdict finish() {
    told_.set_value(good_ ? std::move(body_) : std::string{});
    return wire::verdict::close;
  }

  bool good_ = false;
  std::string body_;
  std::promise<std::string> told_;
};

std::optional<std::string> ask_ollama(const base_url& at) {
  network on(1);
  auto pool = wire::make_pool(on, at, "", 0);
  auto reply = std::make_shared<whole_reply>();
  auto body = reply->result();
  constexpr auto most = limits::ollama_probe_ms;
  auto request = "GET /api/tags HTTP/1.1\r\nHost: " + at.host_header() +
                 "\r\nUser-Agent: maru\r\nConnection: close\r\n\r\n";
  auto running = wire::start(pool, {most, most, most}, std::move(request), reply);
  if (body.wait_for(std::chrono::milliseconds(most)) == std::future_status::ready)
    return first_model(body.get());
  running->close();
  return std::nullopt;
}

config::provider_settings openai_at(std::string name, std::string url, std::string key) {
  config::provider_settings settings;
  settings.name = std::move(name);
  settings.kind = "openai";
  settings.url = std::move(url);
  settings.api_key = std::move(key);
  return settings;
}

} // namespace

std::optional<std::string> first_model(std::string_view tags_json) {
  auto list = json::parse(tags_json.begin(), tags_json.end(), nullptr, false);
  if (!list.is_object() || !list.contains("models") || !list["models"].is_array()) return std::nullopt;
  for (const auto& model : list["models"]) {
    if (!model.is_object() || !model.contains("name") || !model["name"].is_string()) continue;
    const auto& name = model["name"].get_ref<const std::string&>();
    // Models that only embed text refuse to chat.
    if (!name.empty() && name.size() <= limits::provider_model_bytes && name.find("embed") == name.npos)
      return name;
  }
  return std::nullopt;
}

found_provider find_provider_in(const std::function<std::string(const char*)>& environment,
                                const std::string& ollama_url) {
  if (auto key = environment("OPENAI_API_KEY"); !key.empty())
    return {openai_at("openai", "https://api.openai.com/v1", std::move(key)), "gpt-4.1-mini",
            "model: gpt-4.1-mini at api.openai.com (OPENAI_API_KEY is set)"};
  if (auto at = parse_url(ollama_url))
    if (auto model = ask_ollama(*at))
      return {openai_at("ollama", ollama_url + "/v1", ""), *model,
              "model: " + *model + " of Ollama at " + ollama_url};
  config::provider_settings demo;
  demo.name = "demo";
  demo.kind = "demo";
  return {demo, "demo", "model: the built-in demo (no OPENAI_API_KEY, no Ollama at " + ollama_url + ")"};
}

found_provider find_provider() {
  auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  return find_provider_in(environment, "http://127.0.0.1:11434");
}

} // namespace maru::llm
