#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "llm/provider.hpp"

namespace maru::llm {

// find_provider with its surroundings given: the environment and where an Ollama would listen.
found_provider find_provider_in(const std::function<std::string(const char*)>& environment,
                                const std::string& ollama_url);

// The first model of Ollama's list that can talk.
std::optional<std::string> first_model(std::string_view tags_json);

} // namespace maru::llm
