#include "base/codes.hpp"

#include <array>

namespace maru {
namespace {

constexpr std::array table{
    code_info{code::ok, "ok", 200, "Done"},
    code_info{code::invalid_json, "invalid_json", 400, "The body is not a JSON object"},
    code_info{code::invalid_field, "invalid_field", 400,
              "A field is missing or has a value that is not allowed"},
    code_info{code::bad_order, "bad_order", 400, "This cannot be done at this point"},
    code_info{code::unknown_type, "unknown_type", 400, "There is no command of this type"},
    code_info{code::unauthenticated, "unauthenticated", 401, "Log in first"},
    code_info{code::forbidden, "forbidden", 403, "You may not do this"},
    code_info{code::not_found, "not_found", 404, "There is no such thing here"},
    code_info{code::method_not_allowed, "method_not_allowed", 405, "This address does not take this method"},
    code_info{code::conflict, "conflict", 409, "This contradicts what is there already"},
    code_info{code::too_large, "too_large", 413, "This is larger than what is taken"},
    code_info{code::rate_limited, "rate_limited", 429, "Too many requests; wait a little"},
    code_info{code::quota_exceeded, "quota_exceeded", 429, "Your quota is used up"},
    code_info{code::overloaded, "overloaded", 503, "The server is busy; try again"},
    code_info{code::storage_unavailable, "storage_unavailable", 503, "Nothing can be stored at the moment"},
    code_info{code::internal, "internal", 500, "Something went wrong inside"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].value) != i) return false;
  return true;
}
static_assert(in_order() && table.back().value == code::internal,
              "one row for each code, in the order of the enum");

} // namespace

const code_info& info(code c) {
  const auto at = static_cast<std::size_t>(c);
  return at < table.size() ? table[at] : table.back();
}

} // namespace maru
