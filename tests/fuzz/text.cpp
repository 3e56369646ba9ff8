#include "base/text.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <utf8proc.h>

#include "actors/account_rules.hpp"
#include "config/limits.hpp"
#include "net/json_out.hpp"
#include "tests/fuzz/input.hpp"

// Text of strangers: what counts as text, what a name may be, how names are compared, how text becomes JSON.
namespace maru::fuzz {
namespace {

std::size_t characters(std::string_view s) {
  std::size_t out = 0;
  while (!s.empty()) {
    utf8proc_int32_t c = 0;
    const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(s.data()),
                                       static_cast<utf8proc_ssize_t>(s.size()), &c);
    holds(size > 0, "acceptable text is whole characters");
    s.remove_prefix(static_cast<std::size_t>(size));
    ++out;
  }
  return out;
}

void check_normal(std::string_view s) {
  const auto nfc = text::nfc(s);
  holds(nfc && is_text(*nfc) && text::nfc(*nfc) == nfc, "what is normal stays so");
  const auto folded = text::folded(s);
  holds(folded && is_text(*folded) && text::folded(*folded) == folded, "what is folded stays so");
  holds(text::folded(*nfc) == folded, "forms that look alike fold to one");
}

void check_json(std::string_view s) {
  std::string out;
  net::append_string(out, s);
  const auto back = nlohmann::json::parse(out, nullptr, false);
  holds(back.is_string() && back == std::string{s}, "JSON of a text says that text");
  holds(out.find_first_of("\r\n") == out.npos, "in one line");
}

void check_depth(std::string_view s) {
  std::size_t levels = 0;
  const auto count = [&](int depth, nlohmann::json::parse_event_t what, nlohmann::json&) {
    using event = nlohmann::json::parse_event_t;
    if (what == event::object_start || what == event::array_start)
      levels = std::max(levels, static_cast<std::size_t>(depth) + 1);
    return true;
  };
  if (!is_json(s)) return;
  static_cast<void>(nlohmann::json::parse(s, count));
  holds(!text::nested_deeper(s, levels), "no JSON is deeper than it is");
  holds(levels == 0 || text::nested_deeper(s, levels - 1), "nor less deep");
}

void check_prefix(std::string_view s, std::size_t bytes) {
  const auto cut = text::prefix(s, bytes);
  holds(cut.size() <= bytes && s.starts_with(cut), "a prefix is one");
  holds(s.size() > bytes || cut == s, "what fits stays whole");
  if (text::acceptable(s)) holds(text::acceptable(cut), "no character is cut");
  if (text::acceptable(s) && s.size() > bytes) holds(bytes - cut.size() < 4, "no more goes than one");
}

void check_name(const std::string& given) {
  const auto name = actors::clean_username(given);
  if (!name) {
    holds(is_text(name.error().detail), "a refusal is text");
    return;
  }
  holds(is_text(*name) && !has_controls(*name), "a name is text without controls");
  holds(!name->empty() && text::length(*name) <= limits::username_chars, "within its bounds");
  const auto again = actors::clean_username(*name);
  holds(again && *again == *name, "a clean name stays as it is");
  const auto login = actors::login_of(*name);
  holds(actors::login_of(login) == login, "a login stays as it is");
  holds(static_cast<bool>(actors::clean_display_name(given)), "and it may be shown");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const std::size_t some = in.byte();
  const std::string given{in.rest()};
  holds(text::acceptable(given) == is_text(given), "two libraries agree on what text is");
  check_prefix(given, some);
  check_depth(given);
  check_name(given);
  const auto password = actors::check_new_password(given);
  if (!password) holds(is_text(given) && given.size() <= limits::password_bytes_most, "a password is text");
  if (!actors::check_client_settings(given))
    holds(is_json(given) && nlohmann::json::parse(given, nullptr, false).is_object(),
          "settings are an object");
  if (!text::acceptable(given)) return;
  holds(text::length(given) == characters(given), "characters are counted");
  check_normal(given);
  check_json(given);
}

} // namespace maru::fuzz
