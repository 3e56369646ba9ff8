#include "llm/provider.hpp"

#include <stdexcept>

#include "llm/demo.hpp"
#include "llm/openai.hpp"

namespace maru::llm {

std::string_view word(fault f) {
  switch (f) {
  case fault::none:
    return "none";
  case fault::unreachable:
    return "unreachable";
  case fault::timed_out:
    return "timed_out";
  case fault::status:
    return "status";
  case fault::not_a_stream:
    return "not_a_stream";
  case fault::cut:
    return "cut";
  case fault::in_stream:
    return "in_stream";
  case fault::too_large:
    return "too_large";
  }
  return "none";
}

std::shared_ptr<provider> make_provider(const config::provider_settings& options, network& on) {
  if (options.kind == "openai") return make_openai(options, on);
  if (options.kind == "demo") return make_demo(options, on);
  throw std::invalid_argument("provider.kind: openai or demo is wanted");
}

} // namespace maru::llm
