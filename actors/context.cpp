#include "actors/context.hpp"

#include <algorithm>

#include "actors/event_data.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

// A finished answer to `message`: this agent's, else the first there is.
std::optional<llm::turn> own_answer(storage::reader& from, const uuid& room, const uuid& message,
                                    const std::string& agent) {
  std::optional<llm::turn> found;
  for (const auto& e : from.answers_to(room, message)) {
    auto said = event_data::read(e.data);
    if (said.text.empty()) continue;
    if (!found || said.agent == agent) found = llm::turn{llm::role::assistant, std::move(said.text)};
    if (said.agent == agent) break;
  }
  return found;
}

// From `last` upwards, oldest first; `below_is_message`: what stands below `last` is one.
std::vector<llm::turn> turns_up(storage::reader& from, const uuid& room, const uuid& last,
                                bool below_is_message, const std::string& agent, std::uint32_t tokens) {
  const std::size_t bytes = std::size_t{tokens} * limits::bytes_per_token_most;
  const auto around = limits::context_events * limits::event_bytes_around_text;
  const auto chain = from.chain(room, last, limits::context_events, bytes + around);
  std::vector<llm::turn> turns; // newest first
  std::size_t taken = 0;
  for (const auto& e : chain) {
    const bool message = e.kind == "message";
    if (message && below_is_message)
      if (auto own = own_answer(from, room, e.id, agent)) {
        taken += own->text.size();
        turns.push_back(std::move(*own));
      }
    below_is_message = message;
    auto text = event_data::read(e.data).text;
    taken += text.size();
    if (!text.empty()) turns.push_back({message ? llm::role::user : llm::role::assistant, std::move(text)});
    if (taken > bytes) break;
  }
  std::reverse(turns.begin(), turns.end());
  return turns;
}

} // namespace

std::vector<llm::turn> context_of(storage::reader& from, const uuid& room, const uuid& question,
                                  const std::string& agent, std::uint32_t tokens) {
  return turns_up(from, room, question, false, agent, tokens);
}

std::vector<llm::turn> context_above(storage::reader& from, const uuid& room, const uuid& parent,
                                     const std::string& agent, std::uint32_t tokens) {
  return turns_up(from, room, parent, true, agent, tokens);
}

} // namespace maru::actors
