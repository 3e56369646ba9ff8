#include "llm/find.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/fake_model.hpp"

using namespace maru::llm;
using namespace maru::test;

namespace {

std::string nothing(const char*) { return ""; }

std::string root(const fake_model& fake) { return "http://127.0.0.1:" + std::to_string(fake.port()); }

fake_behaviour lists(std::string body, int status = 200) {
  return [=](const fake_request& r) {
    fake_script s;
    s.status = r.target == "/api/tags" && r.method == "GET" ? status : 404;
    s.headers = {"Content-Type: application/json"};
    s.steps = {{0, body}};
    return s;
  };
}

} // namespace

TEST_CASE("a key of OpenAI in the environment comes first, and is not told") {
  fake_model ollama(lists(R"({"models":[{"name":"llama"}]})"));
  auto found = find_provider_in(
      [](const char* name) { return std::string(name) == "OPENAI_API_KEY" ? "sk-1" : ""; }, root(ollama));
  CHECK(found.provider.kind == "openai");
  CHECK(found.provider.url == "https://api.openai.com/v1");
  CHECK(found.provider.api_key == "sk-1");
  CHECK_FALSE(found.model.empty());
  CHECK(found.line.find("sk-1") == std::string::npos);
  CHECK(ollama.counts().requests == 0);
}

TEST_CASE("a key of Anthropic alone changes nothing yet") {
  fake_model none(lists("", 404));
  auto found = find_provider_in(
      [](const char* name) { return std::string(name) == "ANTHROPIC_API_KEY" ? "x" : ""; }, root(none));
  CHECK(found.provider.kind == "demo");
}

TEST_CASE("a local Ollama is used with the first of its models that can talk") {
  fake_model ollama(
      lists(R"({"models":[{"name":"nomic-embed-text"},{"name":"qwen3:8b"},{"name":"other"}]})"));
  auto found = find_provider_in(nothing, root(ollama));
  CHECK(found.provider.kind == "openai");
  CHECK(found.provider.url == root(ollama) + "/v1");
  CHECK(found.model == "qwen3:8b");
  CHECK(found.line.find("qwen3:8b") != std::string::npos);
}

TEST_CASE("without a usable Ollama the demo answers") {
  for (const auto& behaviour : {lists(R"({"models":[]})"), lists("<html>"), lists("{}", 500), lists("[1,2]"),
                                lists(R"({"models":[{"name":7},null]})")}) {
    fake_model other(behaviour);
    CHECK(find_provider_in(nothing, root(other)).provider.kind == "demo");
  }
  std::uint16_t port = 0;
  {
    fake_model gone(1, 0);
    port = gone.port();
  }
  CHECK(find_provider_in(nothing, "http://127.0.0.1:" + std::to_string(port)).provider.kind == "demo");
}

TEST_CASE("an Ollama that does not answer is not waited for") {
  fake_script silent;
  silent.raw = true;
  silent.end = fake_end::hang;
  fake_model other([=](const fake_request&) { return silent; });
  CHECK(find_provider_in(nothing, root(other)).provider.kind == "demo");
}
