#include "actors/envelope.hpp"

namespace maru::actors {

void add_envelope_type(caf::actor_system_config& cfg) { cfg.add_message_type<envelope>("maru_envelope"); }

refusal check_envelope(const envelope& e, std::string_view kind) {
  if (e.version == 0 || e.version > envelope_version)
    return {code::unknown_type, "an envelope of version " + std::to_string(e.version), 0};
  if (e.kind != kind) return {code::unknown_type, "an envelope of another kind", 0};
  return {};
}

} // namespace maru::actors
