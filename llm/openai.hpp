#pragma once

#include <memory>

#include "llm/provider.hpp"

namespace maru::llm {

// Chat Completions of OpenAI and of all that speak like it. Throws like make_provider.
std::shared_ptr<provider> make_openai(const config::provider_settings& options, network& on);

} // namespace maru::llm
