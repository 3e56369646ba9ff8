#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "base/uuid.hpp"

namespace maru::net {

// Parses a JSON object whose depth is bounded. A lone surrogate, which JSON can write and UTF-8 cannot, comes
// out as NUL, so that the field it stands in is refused and not the whole text.
result<nlohmann::json> parse_object(std::string_view text);

// No string inside holds NUL or a lone surrogate. Recursion is as deep as json_depth.
bool acceptable_inside(const nlohmann::json& value);

struct span_of {
  std::size_t least = 0;
  std::size_t most = 0;
};

// Takes the fields out of an object; the first that is wrong is remembered, with its name and what is
// allowed.
class fields {
public:
  explicit fields(const nlohmann::json& from) : from_(from) {}

  std::string bytes(const char* name, span_of allowed);                      // required
  std::optional<std::string> maybe_bytes(const char* name, span_of allowed); // null counts as absent
  std::string chars(const char* name, span_of allowed);                      // required
  std::optional<std::string> maybe_chars(const char* name, span_of allowed);
  uuid id(const char* name); // required
  std::optional<uuid> maybe_id(const char* name);
  std::optional<std::uint64_t> maybe_number(const char* name);
  std::optional<std::vector<std::string>> maybe_names(const char* name, std::size_t most, std::size_t chars);
  std::optional<std::string> maybe_object(const char* name, std::size_t most_bytes); // as JSON

  [[nodiscard]] bool has(const char* name) const { return from_.contains(name); }
  [[nodiscard]] bool is_null(const char* name) const { return has(name) && from_[name].is_null(); }
  void refuse(std::string_view name, std::string_view allowed, code why = code::invalid_field);
  [[nodiscard]] const refusal& why() const { return why_; }

private:
  const nlohmann::json* find(const char* name) const;
  std::optional<std::string> text(const char* name);

  const nlohmann::json& from_;
  refusal why_;
};

} // namespace maru::net
