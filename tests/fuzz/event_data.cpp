#include "actors/event_data.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/limits.hpp"
#include "tests/fuzz/input.hpp"

// The JSON of stored rows. Rows are ours, but disks and other versions are not: whatever a row holds, it is
// read without a failure, since that would end its room again and again.
namespace maru::fuzz {
namespace {

using json = nlohmann::json;
namespace event_data = actors::event_data;

void check_shortened(const std::string& before) {
  auto after = before;
  event_data::shorten(after);
  if (after == before) return;
  const auto was = json::parse(before, nullptr, false), is = json::parse(after, nullptr, false);
  holds(is.is_object() && is.value("cut", false), "what was cut is an object, and says so");
  const auto& kept = is["text"].get_ref<const std::string&>();
  const auto& whole = was["text"].get_ref<const std::string&>();
  holds(kept.size() <= limits::brief_text_bytes && whole.starts_with(kept), "it begins as the whole does");
  holds(is_text(kept) || !is_text(whole), "no character is cut in two");
  auto again = after;
  event_data::shorten(again);
  holds(again == after, "what was cut is not cut again");
}

void check_asked(const std::string& data) {
  const auto first = event_data::parse_asked(data);
  const auto second = event_data::parse_asked(event_data::asked_list(first));
  holds(event_data::asked_list(first) == event_data::asked_list(second), "what was read can be written");
}

void check_written(const std::string& text) {
  actors::answer_fact what;
  what.agent = text.substr(0, 8);
  what.text = text;
  actors::finish_answer how;
  how.text = how.model = how.finish = text;
  for (const auto& data :
       {event_data::answered(what, how), event_data::failed(what, text), event_data::stopped(what)}) {
    holds(is_json(data), "what is written is JSON, whatever a model said");
    if (is_text(text)) holds(event_data::read(data).text == text, "and says it");
  }
}

} // namespace

void one_input(std::string_view bytes) {
  const std::string data{bytes};
  constexpr std::size_t deep = 500; // we never write what is deeper
  if (!text::nested_deeper(data, deep)) check_shortened(data);
  event_data::read(data);
  check_asked(data);
  check_written(data);
}

} // namespace maru::fuzz
