#include "actors/common.hpp"

#include "config/limits.hpp"

namespace maru::actors {

namespace {

// CAF keeps its count of unanswered requests to the actor itself.
struct with_requests : caf::scheduled_actor {
  static std::size_t of(caf::scheduled_actor& who) {
    return (who.*(&with_requests::multiplexed_responses_)).size();
  }
};

} // namespace

// What came while this slice of the actor's time runs is not seen yet.
caf::result<caf::message> answer_probe(caf::scheduled_actor* self, caf::message_view& what,
                                       const work_wait& work) {
  const auto& content = what.content();
  if (!content.match_elements<probe_atom>()) return caf::print_and_drop(self, what);
  return caf::make_message(
      probe_answer{static_cast<std::uint64_t>(self->get_urgent_queue().total_task_size()) +
                       static_cast<std::uint64_t>(self->get_normal_queue().total_task_size()),
                   with_requests::of(*self), work});
}

refusal refusal_of(storage::failure why) {
  switch (why) {
  case storage::failure::none:
    return {};
  case storage::failure::overloaded:
    return {code::overloaded, "too much is waiting to be stored; try again", limits::retry_after_ms};
  default:
    return {code::storage_unavailable, "nothing can be stored at the moment; try again",
            limits::retry_after_ms};
  }
}

std::string_view child_kind(std::string_view nursery) {
  if (nursery == "agents") return "agent";
  if (nursery == "users") return "user";
  if (nursery == "rooms") return "room";
  if (nursery == "sessions") return "session";
  return "";
}

std::string_view reason_word(const caf::error& why) {
  if (why == caf::exit_reason::kill) return "killed";
  const bool thrown = why == caf::sec::runtime_error || why == caf::exit_reason::unhandled_exception;
  return thrown ? "exception" : "other";
}

void count_end(metrics& counts, std::string_view kind, std::string_view reason) {
  const auto what = metric::actor_restarts;
  counts.add_at(what, counts.place(what, counts.at(what, kind), counts.at(what, reason, 1)));
}

event_fact fact_of(const storage::event_row& row) {
  return {row.seq, row.id, row.kind, row.at, row.author.kind, row.author.id, row.author.name, row.data};
}

namespace {
constexpr std::size_t uuid_chars = 36;

std::string prefix_of(mailbox_kind of) { return std::string{word(of)} + "/"; }

// What a mailbox's name says after its kind; nothing where it is of another.
std::optional<std::string> name_in(const std::string& mailbox, mailbox_kind of) {
  const auto prefix = prefix_of(of);
  return mailbox.starts_with(prefix) ? std::optional(mailbox.substr(prefix.size())) : std::nullopt;
}
} // namespace

std::string child_name(const agent_name& of) { return of.room.str() + "/" + of.agent; }

std::optional<agent_name> agent_name_of(const std::string& child_name) {
  if (child_name.size() < uuid_chars + 2 || child_name[uuid_chars] != '/') return std::nullopt;
  const auto room = uuid::parse(std::string_view{child_name}.substr(0, uuid_chars));
  if (!room) return std::nullopt;
  return agent_name{*room, child_name.substr(uuid_chars + 1)};
}

std::string name_of(const person& by) {
  return by.id.nil() ? "the operator" : "the admin '" + by.name + "' (" + by.id.str() + ")";
}

std::string mailbox_of(const uuid& room, const std::string& agent) {
  return prefix_of(mailbox_kind::agent) + child_name({room, agent});
}

std::string mailbox_of(const uuid& room) { return prefix_of(mailbox_kind::room) + room.str(); }

std::optional<agent_name> agent_of(const std::string& mailbox) {
  const auto name = name_in(mailbox, mailbox_kind::agent);
  return name ? agent_name_of(*name) : std::nullopt;
}

std::optional<uuid> room_of(const std::string& mailbox) {
  const auto name = name_in(mailbox, mailbox_kind::room);
  return name ? uuid::parse(*name) : std::nullopt;
}

void count_entries(metrics& counts, metric what, mailbox_kind of, std::uint64_t n) {
  counts.add_at(what, static_cast<std::size_t>(of), n);
}

void count_burial(metrics& counts, mailbox_kind of, std::string_view reason) {
  const auto what = metric::mailbox_buried;
  counts.add_at(what, counts.place(what, static_cast<std::size_t>(of), counts.at(what, reason, 1)));
}

} // namespace maru::actors
