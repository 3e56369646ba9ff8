#pragma once

// What happened in a room, as it travels from the room to whoever watches.

#include <cstdint>
#include <string>
#include <vector>

#include "base/uuid.hpp"

namespace maru::actors {

struct asked {
  uuid answer;
  std::string agent;
};

// A durable event; `data` is the JSON object the store keeps.
struct event_fact {
  std::uint64_t seq = 0;
  uuid id;
  std::string kind;
  std::int64_t at = 0;
  std::string author_kind;
  uuid author_id; // nil: none
  std::string author_name;
  std::string data;
};

enum class answer_state : std::uint8_t { queued, thinking, streaming, recovering };

// An unfinished answer, whole so far.
struct answer_fact {
  uuid answer;
  uuid question;
  std::string agent;
  std::uint32_t attempt = 1;
  answer_state state = answer_state::queued;
  std::uint64_t n = 0;
  std::string text;
  std::uint32_t position = 0; // while its call waits: how many come before it, itself counted; 0: it does not
};

struct delta_fact {
  uuid answer;
  std::uint32_t attempt = 1;
  std::uint64_t n = 0;     // the last piece in it
  std::uint32_t count = 1; // how many it holds
  std::string text;
};

template <class I>
auto inspect(I& f, asked& x) {
  return f(x.answer, x.agent);
}

template <class I>
auto inspect(I& f, event_fact& x) {
  return f(x.seq, x.id, x.kind, x.at, x.author_kind, x.author_id, x.author_name, x.data);
}

template <class I>
auto inspect(I& f, answer_fact& x) {
  return f(x.answer, x.question, x.agent, x.attempt, x.state, x.n, x.text, x.position);
}

template <class I>
auto inspect(I& f, delta_fact& x) {
  return f(x.answer, x.attempt, x.n, x.count, x.text);
}

} // namespace maru::actors
