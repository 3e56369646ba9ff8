#include "tests/support/faithful_client.hpp"

#include <algorithm>
#include <limits>

#include "config/limits.hpp"

namespace maru::test {

using json = nlohmann::json;

// --- what it does ------------------------------------------------------------------------------------------

void faithful_client::dial() {
  now_ = &w_.dial(user_, session_);
  dialed_at_ = w_.rig().time().steady_ms();
  greeted_ = false;
  read_ = 0;
  reopen_.clear();
}

void faithful_client::greet() {
  greeted_ = true;
  session_ = now_->session;
  for (const auto& room : rooms_)
    open_again(room);
  for (const auto& id : sent)
    if (const auto& c = commands.at(id); !c.ack && c.refused.empty()) give(id, c);
}

void faithful_client::open(const uuid& room) {
  rooms_.insert(room);
  open_again(room);
}

void faithful_client::open_again(const uuid& room) {
  const auto& have = seen[room];
  now_->open(room, have.empty() ? 0 : have.rbegin()->first);
}

void faithful_client::give(const uuid& id, const kept_command& what) {
  if (what.is_stop)
    now_->stop(what.room, what.answer, id);
  else if (what.is_retry)
    now_->retry(what.room, what.answer, id);
  else
    now_->send(what.room, what.text, what.agents, id);
}

uuid faithful_client::keep(kept_command what) {
  const auto id = uuid::v7(0);
  sent.push_back(id);
  const auto& c = commands[id] = std::move(what);
  if (greeted_) give(id, c);
  return id;
}

uuid faithful_client::send(const uuid& room, const std::string& text,
                           std::optional<std::vector<std::string>> agents) {
  kept_command c;
  c.room = room;
  c.text = text;
  c.agents = std::move(agents);
  return keep(std::move(c));
}

uuid faithful_client::stop(const uuid& room, const uuid& answer) {
  kept_command c;
  c.room = room;
  c.is_stop = true;
  c.answer = answer;
  return keep(std::move(c));
}

uuid faithful_client::retry(const uuid& room, const uuid& answer) {
  kept_command c;
  c.room = room;
  c.is_retry = true;
  c.answer = answer;
  return keep(std::move(c));
}

void faithful_client::send_again(const uuid& command) {
  if (greeted_) give(command, commands.at(command));
}

void faithful_client::lose() { now_->lose(); }

void faithful_client::tend() {
  for (; read_ < now_->frames.size(); ++read_)
    read(now_->frames[read_]);
  // As net/ does with a socket that no session takes.
  if (!now_->attached() && !now_->closed &&
      w_.rig().time().steady_ms() - dialed_at_ >= limits::attach_timeout_ms)
    now_->lose();
  if (now_->closed) return dial();
  if (!greeted_ && now_->attached()) return greet();
  for (const auto& room : std::exchange(reopen_, {}))
    open_again(room);
  for (const auto& id : sent)
    if (auto& c = commands.at(id); std::exchange(c.again, false) && !c.ack) give(id, c);
}

// --- what it gets ------------------------------------------------------------------------------------------

void faithful_client::read(const json& frame) {
  const auto& type = frame["type"];
  if (type == "error") return read_error(frame);
  if (type == "event") return read_event(frame);
  if (type == "ack") {
    auto& c = commands.at(uuid::parse(frame["id"].get<std::string>()).value());
    if (c.ack && ((*c.ack)["seq"] != frame["seq"] || (*c.ack)["event"] != frame["event"]))
      violations.push_back("acked otherwise before: " + frame.dump());
    if (!c.ack) c.ack = frame;
  }
}

void faithful_client::read_error(const json& frame) {
  const std::string code = frame["code"];
  const bool for_now = frame.contains("retry_after_ms");
  if (!frame.contains("id")) { // of an `open`
    if (!for_now) violations.push_back("a room cannot be opened: " + frame.dump());
    reopen_ = rooms_;
    return;
  }
  auto& c = commands.at(uuid::parse(frame["id"].get<std::string>()).value());
  if (for_now)
    c.again = true;
  else
    c.refused = code;
}

void faithful_client::read_event(const json& frame) {
  auto& room = seen[uuid::parse(frame["room"].get<std::string>()).value()];
  const std::uint64_t seq = frame["seq"];
  const auto last = room.empty() ? 0 : room.rbegin()->first;
  if (seq > last + 1) violations.push_back("events are missing before " + frame.dump());
  const auto [it, fresh] = room.emplace(seq, frame);
  if (!fresh && it->second["id"] != frame["id"])
    violations.push_back("another event of this number was told before: " + frame.dump());
}

bool faithful_client::content() const { return missing().empty(); }

std::vector<std::string> faithful_client::missing() const {
  std::vector<std::string> out;
  if (now_->closed || !greeted_) out.emplace_back("not connected");
  if (read_ < now_->frames.size()) out.emplace_back("frames are unread");
  if (now_->commands_owed > 0) out.push_back(std::to_string(now_->commands_owed) + " commands unanswered");
  for (const auto& [id, c] : commands)
    if (!c.ack && c.refused.empty())
      out.push_back((c.is_stop    ? "stop "
                     : c.is_retry ? "retry "
                                  : "message ") +
                    id.str() + " " + c.text + " is not acked");
  return out;
}

// --- the promises ------------------------------------------------------------------------------------------

namespace {

struct told_answer {
  std::string agent, question, text;
  std::uint64_t seq = 0; // of the question
  std::vector<json> ends;
};

// One room, as the store has it, held against everything else.
class examination {
public:
  examination(world& w, const uuid& room) : w_(w), room_(room), events_(w.events(room)) {}

  std::vector<std::string> wrong;

  void look() {
    read_events();
    for (const auto& [id, a] : answers_)
      check_answer(id, a);
    for (const auto& agent : w_.services().settings->agents) {
      if (const auto n = w_.entries(room_, agent.name).size(); n > 0)
        wrong.push_back(std::to_string(n) + " entries are left in the mailbox of " + agent.name);
      check_calls(agent.name);
    }
  }

  void check(const uuid& id, const kept_command& c) {
    if (c.room != room_) return;
    const auto named = messages_.count(id.str());
    if (!c.refused.empty()) {
      // Of stops, what has no answer is refused; of retries, what has not failed; of messages here, nothing.
      if (c.refused != (c.is_stop ? "not_found" : c.is_retry ? "conflict" : ""))
        wrong.push_back(id.str() + " was refused: " + c.refused);
      return;
    }
    if (!c.ack) return wrong.push_back(id.str() + " was never acked");
    const std::uint64_t seq = (*c.ack)["seq"];
    if (seq == 0 || seq > events_.size()) return wrong.push_back("an ack points nowhere: " + c.ack->dump());
    const auto& event = events_[seq - 1];
    if ((*c.ack)["event"] != event.id.str()) wrong.push_back("an ack names another event: " + c.ack->dump());
    const auto data = json::parse(event.data);
    if (c.is_stop) {
      if (!event.kind.starts_with("answer") || data["answer"] != c.answer.str())
        wrong.push_back("the ack of a stop does not point at its end: " + c.ack->dump());
      return;
    }
    if (c.is_retry) return check_retry(c, event.kind, data);
    if (named != 1) wrong.push_back(c.text + " is there " + std::to_string(named) + " times");
    if (event.kind != "message" || data["client_id"] != id.str() || data["text"] != c.text)
      wrong.push_back("an ack points at something else: " + c.ack->dump());
    if (data["answers"] != (*c.ack)["answers"]) wrong.push_back("ack and event differ: " + c.ack->dump());
  }

  void check_retry(const kept_command& c, const std::string& kind, const json& end) {
    if ((kind != "answer_failed" && kind != "answer_stopped") || end["answer"] != c.answer.str())
      wrong.push_back("the ack of a retry does not point at what is retried: " + c.ack->dump());
    const auto fresh = answers_of(*c.ack);
    if (fresh.size() != 1 || !answers_.contains(fresh[0].str()))
      wrong.push_back("the answer of a retry has no end: " + c.ack->dump());
  }

  void check_seen(const std::map<std::uint64_t, json>& seen) {
    if (seen.size() != events_.size())
      wrong.push_back("a client saw " + std::to_string(seen.size()) + " events of " +
                      std::to_string(events_.size()));
    for (const auto& e : events_)
      if (const auto it = seen.find(e.seq);
          it == seen.end() || it->second["id"] != e.id.str() || it->second["data"] != json::parse(e.data))
        wrong.push_back("a client did not see event " + std::to_string(e.seq) + " as it is stored");
  }

private:
  void read_events() {
    std::uint64_t next = 1;
    for (const auto& e : events_) {
      if (e.seq != next++) wrong.push_back("event " + std::to_string(e.seq) + " stands at the wrong place");
      const auto data = json::parse(e.data);
      if (e.kind == "message") {
        if (data.contains("client_id")) messages_.insert(data["client_id"].get<std::string>());
        for (const auto& a : data["answers"])
          answers_[a["answer"]] = {a["agent"], e.id.str(), data["text"], e.seq, {}};
        continue;
      }
      if (e.kind == "system") continue;
      auto end = data;
      end["kind"] = e.kind;
      if (e.kind == "answer")
        ++finished_[data["agent"].get<std::string>() + "'s to " + data["question"].get<std::string>()];
      auto it = answers_.find(data["answer"]);
      if (it == answers_.end()) it = retried(data);
      if (it == answers_.end())
        wrong.push_back("an end without its question: " + data.dump());
      else
        it->second.ends.push_back(std::move(end));
    }
    for (const auto& [what, count] : finished_)
      if (count > 1) wrong.push_back(what + " was answered " + std::to_string(count) + " times");
  }

  // An answer that no message has opened: another of the same agent to the same question came to nothing
  // before.
  std::map<std::string, told_answer>::iterator retried(const json& end) {
    const std::string question = end["question"], agent = end["agent"];
    const auto same = std::find_if(answers_.begin(), answers_.end(), [&](const auto& a) {
      return a.second.question == question && a.second.agent == agent && !a.second.ends.empty();
    });
    if (same == answers_.end()) return same;
    auto fresh = same->second;
    fresh.ends.clear();
    again_.insert(fresh.text);
    return answers_.emplace(end["answer"], std::move(fresh)).first;
  }

  // Questions have texts of their own in these tests, and agents models of their own.
  std::vector<const model_stream*> calls_of(const told_answer& a) {
    std::vector<const model_stream*> out;
    for (const auto& p : w_.services().settings->providers)
      for (const auto& c : w_.model(p.name).calls)
        if (c->what.model == a.agent && !c->what.turns.empty() && c->what.turns.back().text == a.text)
          out.push_back(c.get());
    return out;
  }

  void check_answer(const std::string& id, const told_answer& a) {
    if (a.ends.size() != 1)
      return wrong.push_back("answer " + id + " to " + a.text + " has " + std::to_string(a.ends.size()) +
                             " ends");
    const auto row = w_.answer(uuid::parse(id).value());
    if (!row || !row->end_seq) wrong.push_back("answer " + id + " is not ended in the store");
    const auto& end = a.ends[0];
    const std::string text = end["text"];
    const auto calls = calls_of(a);
    if (end["kind"] == "answer") {
      if (std::none_of(calls.begin(), calls.end(), [&](const model_stream* c) {
            return c->finished && c->what.prefix + c->said == text;
          }))
        wrong.push_back("no attempt ended with what is told: " + end.dump());
    } else if (!text.empty() && std::none_of(calls.begin(), calls.end(), [&](const model_stream* c) {
                 return (c->what.prefix + c->said).starts_with(text);
               })) {
      wrong.push_back("no attempt said what is told: " + end.dump());
    }
    for (std::size_t i = 0; i < calls.size(); ++i)
      if (const auto& prefix = calls[i]->what.prefix;
          !prefix.empty() &&
          std::none_of(calls.begin(), calls.begin() + static_cast<std::ptrdiff_t>(i),
                       [&](const model_stream* c) { return (c->what.prefix + c->said).starts_with(prefix); }))
        wrong.push_back("a call goes on from what no attempt said: " + prefix);
  }

  // One question at a time, in the order of the mailbox. What was asked of a model for a question that then
  // did not come to the disk does not count: to be answered, it is asked again.
  void check_calls(const std::string& agent) {
    std::map<std::string, std::uint64_t> seq_of;
    for (const auto& [id, a] : answers_)
      if (a.agent == agent && a.ends.size() == 1 && a.ends[0]["kind"] == "answer" && !again_.contains(a.text))
        seq_of[a.text] = a.seq;
    std::set<std::string> later;
    std::uint64_t before = std::numeric_limits<std::uint64_t>::max();
    for (const auto& p : w_.services().settings->providers) {
      const auto& calls = w_.model(p.name).calls;
      for (auto c = calls.rbegin(); c != calls.rend(); ++c) {
        if ((*c)->what.model != agent || (*c)->what.turns.empty()) continue;
        const auto it = seq_of.find((*c)->what.turns.back().text);
        if (it == seq_of.end()) continue;              // of another room
        if (!later.insert(it->first).second) continue; // not its last
        if (it->second > before)
          wrong.push_back(agent + " was asked '" + it->first + "' before an earlier question");
        before = std::min(before, it->second);
      }
    }
  }

  world& w_;
  uuid room_;
  std::vector<storage::event_row> events_;
  std::multiset<std::string> messages_; // by the client's id
  std::map<std::string, told_answer> answers_;
  std::map<std::string, std::size_t> finished_; // by agent and question
  std::set<std::string> again_;                 // questions that were asked anew: out of their order
};

// Every answer has ended, and every client has seen all of its rooms.
bool all_told(world& w, const std::vector<uuid>& rooms, const std::vector<faithful_client*>& clients) {
  for (const auto& room : rooms) {
    const auto events = w.events(room);
    for (const auto& agent : w.services().settings->agents)
      if (!w.entries(room, agent.name).empty()) return false;
    for (const auto* c : clients)
      if (const auto it = c->seen.find(room); it != c->seen.end() && it->second.size() < events.size())
        return false;
  }
  return true;
}

} // namespace

std::vector<std::string> broken_promises(world& w, const std::vector<uuid>& rooms,
                                         const std::vector<faithful_client*>& clients) {
  auto wrong = w.violations();
  if (w.gave_up) wrong.push_back("the root gave up: " + *w.gave_up);
  for (const auto* c : clients) {
    wrong.insert(wrong.end(), c->violations.begin(), c->violations.end());
    const auto missing = c->missing();
    wrong.insert(wrong.end(), missing.begin(), missing.end());
  }
  for (const auto& room : rooms) {
    examination e{w, room};
    e.look();
    for (const auto* c : clients) {
      for (const auto& [id, command] : c->commands)
        e.check(id, command);
      if (const auto it = c->seen.find(room); it != c->seen.end()) e.check_seen(it->second);
    }
    wrong.insert(wrong.end(), e.wrong.begin(), e.wrong.end());
  }
  return wrong;
}

bool come_to_rest(world& w, const std::vector<uuid>& rooms, const std::vector<faithful_client*>& clients,
                  std::int64_t most_ms) {
  constexpr std::int64_t step_ms = 250;
  std::size_t calm = 0;
  for (std::int64_t t = 0; t < most_ms; t += step_ms) {
    for (const auto& p : w.services().settings->providers)
      for (std::size_t i = 0; i < w.model(p.name).calls.size(); ++i) {
        const auto c = w.model(p.name).calls[i];
        c->say({"the ", "rest"});
        c->finish();
      }
    w.settle();
    for (auto* c : clients)
      c->tend();
    w.settle();
    const bool content =
        std::all_of(clients.begin(), clients.end(), [](const auto* c) { return c->content(); });
    // Twice: what is told too often would come then.
    calm = content && all_told(w, rooms, clients) ? calm + 1 : 0;
    if (calm == 2) return true;
    w.advance(step_ms);
  }
  return false;
}

} // namespace maru::test
