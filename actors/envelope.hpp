#pragma once

// What travels between nodes: one message that every version reads, with the rest packed inside.

#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>

#include "actors/messages.hpp"
#include "base/result.hpp"

namespace maru::actors {

inline constexpr std::uint16_t envelope_version = 1;

// Before the actor system is made.
void add_envelope_type(caf::actor_system_config& cfg);

// Why an envelope cannot be opened as `kind`; ok if it can.
refusal check_envelope(const envelope& e, std::string_view kind);

// `what` carries values only, no handles.
template <class T>
envelope pack(std::string kind, const T& what) {
  std::vector<char> bytes;
  caf::binary_serializer to{nullptr, bytes};
  if (to(const_cast<T&>(what))) return {};
  return {envelope_version, std::move(kind), std::string{bytes.begin(), bytes.end()}};
}

// What was packed as `kind`; nothing of a newer version, of another kind, or with bytes missing or left.
template <class T>
result<T> unpack(const envelope& e, std::string_view kind) {
  if (auto why = check_envelope(e, kind)) return why;
  T out{};
  caf::binary_deserializer from{nullptr, e.bytes.data(), e.bytes.size()};
  if (from(out) || from.remaining() != 0)
    return refusal{code::invalid_field, "an envelope of kind " + std::string{kind} + " is damaged", 0};
  return out;
}

} // namespace maru::actors
