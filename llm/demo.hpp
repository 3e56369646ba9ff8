#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/provider.hpp"

namespace maru::llm {

// Answers without a network, for a first look and for tests of all that is around a model.
std::shared_ptr<provider> make_demo(const config::provider_settings& options, network& on);

// The answer to a question: always the same Markdown for the same question, in its language if that is
// Korean, Japanese or Chinese, else in English.
std::string demo_answer(std::string_view question);

// Cut like a model would: after words, or after a few characters of a script without spaces.
std::vector<std::string> demo_pieces(std::string_view answer);

} // namespace maru::llm
