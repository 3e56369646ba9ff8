#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/facts.hpp"
#include "actors/wire.hpp"
#include "base/uuid.hpp"

namespace maru::net {

// Appends `text` as a JSON string; `text` is valid UTF-8 and passes through but for what JSON must escape.
void append_string(std::string& out, std::string_view text);
void append_number(std::string& out, std::uint64_t value);

// Writes one JSON object at the end of a string.
class object {
public:
  explicit object(std::string& out) : out_(out) { out_.push_back('{'); }

  object& text(std::string_view name, std::string_view value);
  object& number(std::string_view name, std::uint64_t value);
  object& flag(std::string_view name, bool value);
  object& id(std::string_view name, const uuid& value);
  object& raw(std::string_view name, std::string_view json); // `json` is spliced as it is
  object& name(std::string_view name);                       // the caller appends the value
  void end() { out_.push_back('}'); }

private:
  std::string& out_;
  bool first_ = true;
};

// Calls `each(out, item)` for the elements of a JSON array.
template <class Items, class Each>
void append_array(std::string& out, const Items& items, Each each) {
  out.push_back('[');
  bool first = true;
  for (const auto& item : items) {
    if (!first) out.push_back(',');
    first = false;
    each(out, item);
  }
  out.push_back(']');
}

// What frames and HTTP bodies have in common.
void event_fields(object& to, std::string& out, const uuid& room, const actors::event_fact& event);
void append_asked(std::string& out, const std::vector<actors::asked>& answers);
std::string_view word(actors::answer_state state);

} // namespace maru::net
