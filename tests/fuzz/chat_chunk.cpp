#include "llm/chat_chunk.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/limits.hpp"
#include "tests/fuzz/input.hpp"

// One `data` of a provider's stream, or its error's body: whatever it is, what comes out is text within
// bounds; where it is sound, it says what a whole tree of it says.
namespace maru::fuzz {
namespace {

using json = nlohmann::json;

bool is_word(std::string_view s) { return s == llm::safe_word(s); }

std::string without_nul(std::string s) {
  for (auto at = s.find('\0'); at != s.npos; at = s.find('\0', at))
    s.replace(at, 1, "\xef\xbf\xbd");
  return s;
}

std::string string_in(const json& from, const char* name) {
  const auto at = from.find(name);
  return at != from.end() && at->is_string() ? at->get<std::string>() : "";
}

// Written from a tree each name stands once, and they are in order.
void says_what_the_tree_says(const json& tree) {
  const auto got = llm::parse_chat_chunk(tree.dump());
  holds(!got.garbage, "an object is no garbage");
  std::string text, finish;
  const auto choices = tree.find("choices");
  if (choices != tree.end() && choices->is_array() && !choices->empty() && choices->front().is_object()) {
    const auto& first = choices->front();
    finish = string_in(first, "finish_reason");
    const auto delta = first.find("delta");
    if (delta != first.end() && delta->is_object())
      text = string_in(*delta, "content") + string_in(*delta, "refusal");
  }
  holds(got.text == without_nul(text), "the text is that of the first choice");
  holds(got.finish.empty() == finish.empty(), "the end is seen");
  if (is_word(finish)) holds(got.finish == finish, "by its word");
  const auto usage = tree.find("usage");
  const bool counted = usage != tree.end() && usage->is_object() && usage->contains("completion_tokens") &&
                       (*usage)["completion_tokens"].is_number_unsigned();
  if (counted)
    holds(got.tokens && got.tokens->completion_tokens == (*usage)["completion_tokens"], "and the cost");
  const auto error = tree.find("error");
  if (error != tree.end() && error->is_object()) holds(got.error, "an error is seen");
}

} // namespace

void one_input(std::string_view bytes) {
  const auto got = llm::parse_chat_chunk(bytes);
  holds(is_text(got.text) && is_text(got.model), "texts are UTF-8 without NUL");
  holds(got.model.size() <= limits::provider_model_bytes, "a model's name is short");
  holds(is_word(got.finish) && is_word(got.error_word) && is_word(llm::error_word_of(bytes)),
        "words are words");
  if (got.garbage)
    holds(got.text.empty() && !got.tokens && !got.error && got.finish.empty(), "garbage says nothing");
  constexpr std::size_t deep = 100; // writing a tree is recursive
  const auto tree = text::nested_deeper(bytes, deep) ? json{} : json::parse(bytes, nullptr, false);
  if (tree.is_object()) says_what_the_tree_says(tree);
}

} // namespace maru::fuzz
