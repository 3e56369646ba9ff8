#pragma once

// What every actor of ours sets up and how it reads from the store.

#include <concepts>
#include <string>
#include <utility>

#include <caf/actor_cast.hpp>
#include <caf/error.hpp>
#include <caf/message.hpp>
#include <caf/result.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include "actors/interfaces.hpp"

namespace maru::actors {

caf::result<caf::message> answer_probe(caf::scheduled_actor* self, caf::message_view& what,
                                       const work_wait& work);

// Whoever probes the actor is told, too, what its work waits for.
template <class Self, class Work>
void tells_of_work(Self* self, Work work) {
  self->set_default_handler([work = std::move(work)](caf::scheduled_actor* me, caf::message_view& what) {
    return answer_probe(me, what, work());
  });
}

// An exception ends the actor, with its text as the reason: its supervisor decides what follows. Whoever
// probes it learns how many messages wait.
template <class Self, std::invocable Who>
void end_on_exception(Self* self, Who name) {
  tells_of_work(self, [] { return work_wait{}; });
  self->set_exception_handler([name = std::move(name)](std::exception_ptr& thrown) -> caf::error {
    std::string what;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
      what = "unknown exception";
    }
    const std::string who = name();
    spdlog::error("{} threw: {}", who, what);
    return caf::make_error(caf::sec::runtime_error, who + ": " + what);
  });
}
template <class Self>
void end_on_exception(Self* self, std::string who) {
  end_on_exception(self, [who = std::move(who)] { return who; });
}

// Tells `then` of whom, and the probe_answer. One that does not know what a probe is has answered, too.
template <class Self, class Then>
void probe(Self* self, const caf::strong_actor_ptr& who, Then then) {
  self->request(caf::actor_cast<caf::actor>(who), caf::infinite, probe_atom::value)
      .then(
          [who = caf::actor_cast<caf::actor_addr>(who), then](const probe_answer& what) { then(who, what); },
          [who = caf::actor_cast<caf::actor_addr>(who), then](const caf::error&) {
            then(who, probe_answer{});
          });
}

// Runs `fetch` on a reader thread and sends what it returns to `to`; what `failed` returns if it cannot be
// read. Both capture values and handles only. `behind`: an owner's next life reads only once the commits of
// the one before are on disk or refused.
template <class Self, class Handle, class Fetch, class Failed>
void read_into(Self* self, const store_actor& store, const Handle& to, Fetch fetch, Failed failed,
               std::optional<storage::fence> behind = {}) {
  run_read request;
  request.behind = behind;
  request.job = [to, fetch = std::move(fetch)](storage::reader& from) { caf::anon_send(to, fetch(from)); };
  request.failed = [to, failed = std::move(failed)](const std::string& why) {
    caf::anon_send(to, failed(why));
  };
  self->send(store, std::move(request));
}

// What a nursery's children are called where they are counted, by its name; "" no nursery.
std::string_view child_kind(std::string_view nursery);
// Why an actor ended, in a word that can be counted.
std::string_view reason_word(const caf::error& why);
void count_end(metrics& counts, std::string_view kind, std::string_view reason);

// What a client is told when a commit was refused.
refusal refusal_of(storage::failure why);

event_fact fact_of(const storage::event_row& row);

// Who acts as an administrator, for the log.
std::string name_of(const person& by);

// "<room>/<agent>", as the nursery of agents names its children; and back.
std::string child_name(const agent_name& of);
std::optional<agent_name> agent_name_of(const std::string& child_name);

// What an agent's mailbox holds, and a room's.
inline constexpr auto question_kind = "question";
inline constexpr auto scheduled_kind = "scheduled_message";

// The mailbox of an agent in a room, that of a room, and back.
std::string mailbox_of(const uuid& room, const std::string& agent);
std::string mailbox_of(const uuid& room);
std::optional<agent_name> agent_of(const std::string& mailbox);
std::optional<uuid> room_of(const std::string& mailbox);

// Of a metric that counts by kind of mailbox.
void count_entries(metrics& counts, metric what, mailbox_kind of, std::uint64_t n = 1);
void count_burial(metrics& counts, mailbox_kind of, std::string_view reason);

// As it came over a socket or by HTTP; the room it is for is not part of it.
template <class In>
post_message post_of(In& from) {
  post_message out;
  out.id = std::move(from.id);
  out.key = from.key;
  out.text = std::move(from.text);
  out.ask_room = !from.agents.has_value();
  if (from.agents) out.agents = std::move(*from.agents);
  out.parent_is = from.parent_is;
  out.parent = from.parent;
  out.has_reply_to = from.reply_to.has_value();
  out.reply_to = from.reply_to.value_or(uuid{});
  return out;
}

} // namespace maru::actors
