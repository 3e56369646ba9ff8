#pragma once

#include <string>

#include "llm/provider.hpp"
#include "llm/url.hpp"

namespace maru::llm {

// The whole HTTP request of one Chat Completions call.
std::string chat_request(const request& what, const base_url& to, const std::string& api_key);

} // namespace maru::llm
