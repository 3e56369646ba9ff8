#include "llm/url.hpp"

#include <nlohmann/json.hpp>

#include "config/values.hpp"
#include "llm/chat_request.hpp"
#include "tests/fuzz/input.hpp"

// Where a provider is. The first line of an input is the URL, the second the key, the rest goes into the
// prompt. Whatever they are, the request has the lines that we gave it and a body that says what was asked.
namespace maru::fuzz {
namespace {

std::string written(const llm::base_url& what) {
  return (what.tls ? "https://" : "http://") + what.host_header() + what.path;
}

bool same(const llm::base_url& a, const llm::base_url& b) {
  return a.tls == b.tls && a.host == b.host && a.port == b.port && a.path == b.path;
}

void check_request(const llm::base_url& to, const std::string& key, const std::string& prompt) {
  llm::request what;
  what.model = prompt.substr(0, 10);
  what.turns = {{llm::role::system, "be kind"}, {llm::role::user, prompt}};
  const auto out = llm::chat_request(what, to, key);
  const auto end = out.find("\r\n\r\n");
  holds(end != out.npos, "a head ends");
  std::size_t lines = 1;
  for (auto at = out.find("\r\n"); at < end; at = out.find("\r\n", at + 2))
    ++lines;
  holds(lines == (key.empty() ? 6 : 7), "a head has the lines that we wrote");
  const auto body = out.substr(end + 4);
  const auto tree = nlohmann::json::parse(body, nullptr, false);
  holds(tree.is_object() && tree["stream"] == true, "a body is JSON");
  const auto& said = tree["messages"][1]["content"].get_ref<const std::string&>();
  if (is_text(prompt)) holds(said == prompt, "a prompt goes out as it is");
  holds(out.find("Content-Length: " + std::to_string(body.size()) + "\r\n") < end, "with its length");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const auto text = in.line();
  const auto key = in.line();
  const auto url = llm::parse_url(text);
  if (!url) return;
  holds(url->port != 0 && !url->host.empty(), "there is a host with a port");
  holds(!has_controls(written(*url)) && written(*url).find(' ') == std::string::npos,
        "it is fit for a request");
  const auto again = llm::parse_url(written(*url));
  holds(again && same(*again, *url), "what was read can be written");
  check_request(*url, config::is_token(key) ? std::string{key} : "", std::string{in.rest()});
}

} // namespace maru::fuzz
