#include "actors/envelope.hpp"

#include "tests/fuzz/input.hpp"

// What comes from another node. The first byte chooses the kind; whatever follows, it is a value or a
// refusal, and a value that was taken is packed and taken again.
namespace maru::fuzz {
namespace {

constexpr const char* kind = "kind";

template <class T>
void check(std::string_view bytes) {
  const actors::envelope given{actors::envelope_version, kind, std::string{bytes}};
  holds(!actors::unpack<T>(given, "another"), "another kind is refused");
  const auto first = actors::unpack<T>(given, kind);
  if (!first) {
    holds(first.error().why == code::invalid_field, "what is damaged is refused as that");
    return;
  }
  const auto packed = actors::pack(kind, *first);
  const auto second = actors::unpack<T>(packed, kind);
  holds(static_cast<bool>(second), "what was taken is taken again");
  holds(actors::pack(kind, *second).bytes == packed.bytes, "and is the same");
  auto cut = packed;
  if (cut.bytes.empty()) return;
  cut.bytes.pop_back();
  holds(!actors::unpack<T>(cut, kind), "with a byte missing it is refused");
}

void check_envelope_itself(std::string_view bytes) {
  actors::envelope out;
  caf::binary_deserializer from{nullptr, bytes.data(), bytes.size()};
  if (from(out)) return;
  const auto why = actors::check_envelope(out, kind);
  holds(static_cast<bool>(why) == (out.version != actors::envelope_version || out.kind != kind),
        "only the version and the kind that are known are opened");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  const auto which = in.byte() % 14;
  const auto rest = in.rest();
  using namespace actors;
  constexpr void (*checks[])(std::string_view) = {
      check_envelope_itself,   check<post_message>,   check<stop_answer>,  check<command_done>,
      check<room_snapshot>,    check<room_news>,      check<members_read>, check<question_enqueued>,
      check<question_ordered>, check<answer_resumed>, check<answer_begun>, check<pieces_made>,
      check<finish_answer>,    check<event_fact>};
  checks[which](rest);
}

} // namespace maru::fuzz
