// Posts and stops: who may, whether it was taken before, what it points at.

#include <chrono>

#include <caf/stateful_actor.hpp>

#include "actors/command_mark.hpp"
#include "actors/common.hpp"
#include "actors/event_data.hpp"
#include "actors/room_tell.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

// As the message says it; the parent it gets is not known here.
uuid parent_said(const post_message& what) {
  return what.parent_is == parent_rule::given ? what.parent : uuid{};
}

bool any_parent(const post_message& what) { return what.parent_is == parent_rule::newest; }

} // namespace

void room_state::request(room_request what) {
  ++busy;
  if (!loaded || broken) {
    if (held.size() >= limits::room_commits_under_way)
      return refuse_all(what, refusal_of(storage::failure::overloaded));
    held.push_back(std::move(what));
    return;
  }
  if (under_way.size() + aside.size() + behind_count >= limits::room_commits_under_way)
    return refuse_all(what, refusal_of(storage::failure::overloaded));
  if (auto* p = std::get_if<post_request>(&what)) return post(std::move(*p));
  if (auto* s = std::get_if<stop_request>(&what)) return stop(std::move(*s));
  if (auto* f = std::get_if<finish_request>(&what)) return finish(std::move(*f));
  if (auto* r = std::get_if<retry_request>(&what)) return retry(std::move(*r));
  if (auto* s = std::get_if<schedule_request>(&what)) return schedule(std::move(*s));
  if (auto* c = std::get_if<cancel_request>(&what)) return cancel(std::move(*c));
  if (auto* r = std::get_if<revive_request>(&what)) return revive(std::move(*r));
  note(std::get<note_request>(std::move(what)));
}

// As the message means them, each once: not all need to be configured still.
std::vector<std::string> room_state::agents_meant(const post_message& what) const {
  std::vector<std::string> names;
  for (const auto& a : what.ask_room ? row.agents : what.agents)
    if (std::find(names.begin(), names.end(), a) == names.end()) names.push_back(a);
  return names;
}

result<std::vector<std::string>> room_state::agents_asked(const post_message& what) const {
  const auto& all = svc->settings->agents;
  auto names = agents_meant(what);
  const auto is_gone = [&](const auto& a) {
    return std::none_of(all.begin(), all.end(), [&](const auto& c) { return c.name == a; });
  };
  const auto gone = std::find_if(names.begin(), names.end(), is_gone);
  if (gone != names.end() && !what.ask_room)
    return refusal{code::invalid_field, "agents: there is no agent '" + *gone + "'"};
  std::erase_if(names, is_gone);
  return names;
}

// The bounds of what waits for answers here.
refusal room_state::no_place_for(const std::vector<std::string>& agents) const {
  std::size_t all = agents.size();
  for (const auto& [agent, count] : unfinished)
    all += count;
  if (!agents.empty() && all > limits::room_answers_unfinished)
    return {code::overloaded, "too many answers are unfinished in this room", limits::retry_after_ms};
  for (const auto& a : agents)
    if (const auto it = unfinished.find(a);
        it != unfinished.end() && it->second >= limits::agent_questions_waiting)
      return {code::overloaded, "agent " + a + " has too many questions waiting in this room",
              limits::retry_after_ms};
  for (const auto& a : agents)
    if (const auto ms = wait_for_model(a))
      return {code::overloaded, "too many questions wait for the model of agent " + a, ms};
  return {};
}

// 0: at least one of its providers takes more. One that rests is asked only where all do.
std::uint32_t room_state::wait_for_model(const std::string& agent) const {
  const auto& all = *svc->settings;
  const auto who = std::ranges::find(all.agents, agent, &config::agent_settings::name);
  if (who == all.agents.end()) return 0;
  const auto own = svc->loads->agents.find(agent);
  const std::uint32_t held_back = own == svc->loads->agents.end() ? 0 : own->second.waiting.load();
  std::uint32_t least = 0;
  for (const bool resting : {false, true}) {
    for (const auto& name : who->providers) {
      const auto load = svc->loads->providers.find(name);
      const auto p = std::ranges::find(all.providers, name, &config::provider_settings::name);
      if (load == svc->loads->providers.end() || p == all.providers.end()) return 0;
      const auto& of = load->second;
      if (of.rests != resting) continue;
      if (p->waiting == 0 || std::max(of.waiting.load(), held_back) < p->waiting) return 0;
      least = least == 0 ? of.wait_ms.load() : std::min(least, of.wait_ms.load());
    }
    if (least > 0) break;
  }
  return least;
}

void room_state::post(post_request what) {
  svc->reach("room.post");
  if (missing || !is_member(what.by.id))
    return refuse(what.waiters, {code::not_found, "there is no such room for you"});
  if (const auto it = behind.find(what.by.id); it != behind.end() && !what.references_known) {
    it->second.push_back(std::move(what));
    ++behind_count;
    return;
  }

  const auto mark = mark_of(what.what, agents_meant(what.what), parent_said(what.what));
  if (is_repeat({what.by.id, what.what.key}, mark, any_parent(what.what), what.waiters)) return;

  const auto agents = agents_asked(what.what);
  auto why = what.what.if_new;
  if (!why && !agents) why = agents.error();
  if (!why && !agents->empty()) why = what.what.if_asking;
  if (!why) why = no_place_for(*agents);
  if (why) return refuse_unless_taken(std::move(what), std::move(why));
  if (!check_references(what)) return;
  order(std::move(what));
}

// Answers a command that was taken before, or joins one that is under way.
bool room_state::is_repeat(const command_key& key, const std::string& mark, bool any_parent,
                           std::vector<waiter>& waiters) {
  const refusal conflict{code::conflict, "id: was used for another command"};
  if (const auto it = keys_under_way.find(key); it != keys_under_way.end()) {
    for (auto& o : under_way) {
      if (o.ticket != it->second) continue;
      if (!same_mark(mark, o.mark, any_parent)) {
        refuse(waiters, conflict);
        return true;
      }
      for (auto& w : waiters)
        w.joined = true;
      auto& joined = *waiters_of(o.what); // only commands have keys
      joined.insert(joined.end(), waiters.begin(), waiters.end());
      return true;
    }
  }
  const auto it = recent.find(key);
  if (it == recent.end()) return false;
  if (same_mark(mark, it->second.mark, any_parent))
    accept(waiters, it->second, true);
  else
    refuse(waiters, conflict);
  return true;
}

// False: refused, or set aside until the store has been asked.
bool room_state::check_references(post_request& what) {
  const bool ask_parent = what.what.parent_is == parent_rule::given && !known.contains(what.what.parent);
  const bool ask_reply = what.what.has_reply_to && !known.contains(what.what.reply_to);
  if (what.references_known || (!ask_parent && !ask_reply)) return true;
  const auto number = next_aside++;
  behind.try_emplace(what.by.id);
  const auto parent = ask_parent ? std::optional(what.what.parent) : std::nullopt;
  const auto reply_to = ask_reply ? std::optional(what.what.reply_to) : std::nullopt;
  aside.emplace(number, std::move(what));
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [room = id, number, parent, reply_to](storage::reader& from) {
        references_read read{number, false, true, true};
        if (parent) {
          const auto event = from.event(room, *parent);
          read.parent_ok = event && (event->kind == "message" || event->kind == "answer");
        }
        if (reply_to) read.reply_to_ok = from.event(room, *reply_to).has_value();
        return read;
      },
      [number](const std::string&) { return references_read{number, true, false, false}; });
  return false;
}

void room_state::take_references(references_read& read) {
  const auto node = aside.extract(read.aside);
  if (node.empty()) return;
  auto what = std::get<post_request>(std::move(node.mapped()));
  auto after = std::move(behind[what.by.id]);
  behind.erase(what.by.id);
  behind_count -= after.size();
  what.references_known = true;
  if (read.failed)
    refuse(what.waiters, refusal_of(storage::failure::unavailable));
  else if (!read.parent_ok)
    refuse(what.waiters, {code::invalid_field, "parent: not a message or answer of this room"});
  else if (!read.reply_to_ok)
    refuse(what.waiters, {code::invalid_field, "reply_to: not an event of this room"});
  else
    request(std::move(what));
  for (auto& next : after)
    request(std::move(next));
}

// Beyond the commands that are remembered, only the store knows what was taken.
void room_state::refuse_unless_taken(post_request what, refusal why) {
  const auto number = next_aside++;
  what.if_new = std::move(why);
  const auto key = command_key{what.by.id, what.what.key};
  aside.emplace(number, std::move(what));
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [number, room = id, key](storage::reader& from) {
        return taken_read{number, false, from.command(room, key.author, key.id)};
      },
      [number](const std::string&) { return taken_read{number, true, {}}; });
}

void room_state::take_taken(const taken_read& read) {
  const auto node = aside.extract(read.aside);
  if (node.empty()) return;
  const auto what = std::get<post_request>(std::move(node.mapped()));
  if (read.failed || !read.row) return refuse(what.waiters, what.if_new);
  const auto& row = *read.row;
  const auto mark = mark_of(what.what, agents_meant(what.what), parent_said(what.what));
  if (!same_mark(mark, row.mark, any_parent(what.what)))
    return refuse(what.waiters, {code::conflict, "id: was used for another command"});
  accept(what.waiters, {row.mark, row.seq, row.event, event_data::parse_asked(row.answers)}, true);
}

void room_state::order(post_request what) {
  const auto agents = agents_asked(what.what);
  auto& message = what.what;
  std::optional<uuid> parent;
  if (message.parent_is == parent_rule::given) parent = message.parent;
  if (message.parent_is == parent_rule::newest) parent = tail;

  ordered o;
  o.event = next_event("message", "user", what.by.id, what.by.name);
  const auto now = svc->time->unix_ms();
  for (const auto& a : *agents)
    o.answers.push_back({uuid::v7(now), a});
  o.event.data = event_data::message(message, parent, o.answers, what.of);
  tail = o.event.id;
  know(o.event.id);

  std::vector<storage::part> parts;
  if (what.of) {
    take_turn(*what.of, o, parts);
  } else {
    o.key = command_key{what.by.id, message.key};
    o.mark = mark_of(message, agents_meant(message), parent.value_or(uuid{}));
    parts.push_back(storage::record_command{
        {id, what.by.id, message.key, o.mark, o.event.seq, o.event.id, event_data::asked_list(o.answers)}});
  }
  parts.push_back(storage::append_event{
      row_of(o.event, parent, message.has_reply_to ? std::optional(message.reply_to) : std::nullopt)});
  for (const auto& a : o.answers)
    open_answer(o, parts, a, o.event.id, o.event.seq, what.by.id);
  o.what = std::move(what);
  announce(o, parent);
  commit(std::move(o), std::move(parts));
}

// An answer without an end, and its entry in the mailbox of its agent.
void room_state::open_answer(ordered& to, std::vector<storage::part>& parts, const asked& what,
                             const uuid& question, std::uint64_t question_seq, const uuid& asker) {
  // An idle agent begins at once; one that is busy, or that nobody starts here, by a commit of its own.
  const bool idle = unfinished[what.agent]++ == 0;
  const std::uint32_t attempt = idle && svc->agents ? 1 : 0;
  parts.push_back(storage::open_answer{{what.answer,
                                        id,
                                        question,
                                        question_seq,
                                        what.agent,
                                        asker,
                                        attempt,
                                        0,
                                        std::nullopt,
                                        std::nullopt,
                                        {}}});
  storage::mailbox_entry entry;
  entry.mailbox = mailbox_of(id, what.agent);
  entry.id = what.answer;
  entry.kind = question_kind;
  entry.body = std::to_string(svc->life);
  entry.enqueued_at = entry.visible_at = svc->time->unix_ms();
  const std::chrono::seconds waits{svc->settings->limits.question_expires_seconds};
  if (waits.count() > 0)
    entry.expires_at = to.expires_at = entry.enqueued_at + std::chrono::milliseconds{waits}.count();
  parts.push_back(storage::enqueue{std::move(entry)});
}

void room_state::stop(stop_request what) {
  svc->reach("room.stop");
  if (missing || !is_member(what.by.id))
    return refuse(what.waiters, {code::not_found, "there is no such room for you"});
  const auto mark = mark_of_stop(what.what.answer);
  if (is_repeat({what.by.id, what.what.key}, mark, false, what.waiters)) return;
  const auto it = answers.find(what.what.answer);
  if (it == answers.end()) return read_end(std::move(what));
  // A stopped text is not shorter than what was shown: the agent tells it first.
  if (it->second.ending || it->second.unheard) {
    stops_waiting[what.what.answer].push_back(std::move(what));
    return;
  }
  auto data = event_data::stopped(it->second.fact);
  order_end(std::move(what), it->second, "answer_stopped", std::move(data));
}

void room_state::read_end(stop_request what) {
  const auto number = next_aside++;
  const auto answer = what.what.answer;
  aside.emplace(number, std::move(what));
  read_into(
      self, svc->store, caf::actor_cast<room_self>(self),
      [number, answer](storage::reader& from) { return ended_read{number, false, from.answer(answer)}; },
      [number](const std::string&) { return ended_read{number, true, {}}; });
}

void room_state::take_end(ended_read& read) {
  const auto it = aside.find(read.aside);
  if (it == aside.end()) return;
  auto what = std::get<stop_request>(std::move(it->second));
  aside.erase(it);
  if (read.failed) return refuse(what.waiters, refusal_of(storage::failure::unavailable));
  if (!read.row || read.row->room != id || !read.row->end_seq)
    return refuse(what.waiters, {code::not_found, "answer: there is no such answer in this room"});
  request(note_request{std::move(what), *read.row->end_seq, *read.row->end_event});
}

void room_state::note(note_request what) {
  ordered o;
  auto& stop = what.stop;
  o.key = command_key{stop.by.id, stop.what.key};
  o.mark = mark_of_stop(stop.what.answer);
  if (is_repeat(*o.key, o.mark, false, stop.waiters)) return;
  std::vector<storage::part> parts{
      storage::record_command{{id, stop.by.id, stop.what.key, o.mark, what.seq, what.event, "[]"}}};
  o.what = std::move(what);
  commit(std::move(o), std::move(parts));
}

void room_state::refuse(const std::vector<waiter>& waiters, const refusal& why) {
  for (const auto& w : waiters)
    self->send(w.from, command_done{w.ticket, why, 0, {}, false, {}});
}

void room_state::accept(const std::vector<waiter>& waiters, const taken_command& how, bool duplicate) {
  for (const auto& w : waiters) {
    command_done done;
    done.ticket = w.ticket;
    done.seq = how.seq;
    done.event = how.event;
    done.duplicate = duplicate || w.joined;
    done.answers = how.answers;
    self->send(w.from, std::move(done));
  }
}

} // namespace maru::actors
