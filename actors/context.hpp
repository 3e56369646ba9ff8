#pragma once

#include <string>
#include <vector>

#include "llm/provider.hpp"
#include "storage/store.hpp"

namespace maru::actors {

// What a model is told before it answers `question`: the messages along the parent chain with the answers
// between them, oldest first, the question last. Reads no more than `tokens` could take.
std::vector<llm::turn> context_of(storage::reader& from, const uuid& room, const uuid& question,
                                  const std::string& agent, std::uint32_t tokens);
// The same for a question that is not there yet, without itself: from its parent upwards.
std::vector<llm::turn> context_above(storage::reader& from, const uuid& room, const uuid& parent,
                                     const std::string& agent, std::uint32_t tokens);

} // namespace maru::actors
