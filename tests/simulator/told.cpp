#include "tests/simulator/told.hpp"

#include <sstream>

#include "storage/sqlite_reader.hpp"

namespace maru::test {

using json = nlohmann::json;

namespace {

const std::string image = "/what-a-power-cut-leaves"; // before the names of the files

uuid id_in(const json& frame, const char* field) {
  return uuid::parse(frame[field].get<std::string>()).value();
}

bool is_there(storage::reader& from, const uuid& room, std::uint64_t seq, const uuid& id,
              const std::string& data) {
  const auto e = from.event(room, id);
  return e && e->seq == seq && (data.empty() || json::parse(e->data) == json::parse(data));
}

} // namespace

std::string told_facts::name_of(const std::string& id) {
  return names_.try_emplace(id, std::string{"#"}.append(std::to_string(names_.size() + 1))).first->second;
}

template <class Job>
bool told_facts::see(storage::sqlite::connection& in, Job job) {
  bool found = false;
  const auto how = storage::sqlite::read_snapshot(in, [&](storage::reader& from) { found = job(from); });
  if (how.failed) wrong.push_back("the disk cannot be read: " + *how.failed);
  return found;
}

// Where all is synced, what is there now is what would be left.
template <class Job>
bool told_facts::safe(Job job) {
  using storage::sqlite::connection;
  if (disk_.all_safe()) {
    if (!live_) live_ = std::make_unique<connection>(w_.database(), connection::mode::read);
    return see(*live_, job);
  }
  disk_.show_synced(image);
  bool found = false;
  try {
    connection left(image + w_.database().string(), connection::mode::read);
    found = see(left, job);
  } catch (const storage::sqlite::error& e) {
    wrong.push_back("what a power cut would leave cannot be opened: " + e.detail);
  }
  disk_.forget(image);
  return found;
}

void told_facts::hear(const device& to, const actors::frame& what) {
  std::ostringstream line;
  line << "  -> " << to.id() << " ";
  if (what.delta) {
    const auto& d = *what.delta;
    line << "delta " << name_of(d.answer.str()) << "." << d.attempt << " n " << d.n << " '" << d.text << "'";
    hear_delta(d.answer, d.attempt, d.text);
    return note(line.str());
  }
  const auto frame = json::parse(what.bytes);
  const std::string type = frame["type"];
  line << type;
  if (type == "event") {
    line << " " << name_of(frame["room"]) << "/" << frame["seq"] << " " << frame["kind"].get<std::string>();
    hear_event(frame);
  } else if (type == "ack") {
    line << " " << name_of(frame["id"]) << " seq " << frame["seq"] << (frame["duplicate"] ? " again" : "");
    hear_ack(frame);
  } else if (type == "answer") {
    line << " " << name_of(frame["answer"]) << "." << frame["attempt"] << " "
         << frame["state"].get<std::string>();
    hear_answer(frame);
  } else if (type == "opened") {
    line << " " << name_of(frame["room"]) << " " << frame["from"] << ".." << frame["head"];
    for (const auto& a : frame["answers"])
      hear_answer(a);
  } else if (type == "error") {
    line << " " << frame["code"].get<std::string>();
  }
  note(line.str());
}

void told_facts::hear_event(const json& frame) {
  const std::string room = frame["room"], id = frame["id"];
  const std::uint64_t seq = frame["seq"];
  const auto [it, fresh] = events_[room].try_emplace(seq, told_event{id, frame["data"].dump()});
  if (!fresh) {
    if (it->second.id != id || it->second.data != frame["data"].dump())
      wrong.push_back("an event is not what it was when it was told before: " + frame.dump());
    return;
  }
  if (frame["kind"] == "message") texts_[id] = frame["data"]["text"];
  const auto in = id_in(frame, "room"), event = id_in(frame, "id");
  if (!safe([&](storage::reader& from) { return is_there(from, in, seq, event, it->second.data); }))
    wrong.push_back("told before it was safe: " + frame.dump());
}

void told_facts::hear_ack(const json& frame) {
  if (!acked_.insert(frame["id"]).second) return;
  const auto room = id_in(frame, "room"), event = id_in(frame, "event");
  const std::uint64_t seq = frame["seq"];
  const auto asked = answers_of(frame);
  const bool kept = safe([&](storage::reader& from) {
    for (const auto& a : asked)
      if (!from.answer(a)) return false;
    return is_there(from, room, seq, event, "");
  });
  if (!kept) wrong.push_back("acked before it was safe: " + frame.dump());
}

void told_facts::hear_answer(const json& frame) {
  const std::string answer = frame["answer"];
  if (const auto text = texts_.find(frame["question"]); text != texts_.end())
    question_of_[answer] = text->second;
  if (frame["state"] != "queued") check_attempt(answer, frame["attempt"]);
}

// An attempt is on disk before anything is told of it.
void told_facts::check_attempt(const std::string& answer, std::uint32_t attempt) {
  if (!attempts_.emplace(answer, attempt).second) return;
  const auto id = uuid::parse(answer).value();
  const bool begun = safe([&](storage::reader& from) {
    const auto row = from.answer(id);
    return row && row->attempt >= attempt;
  });
  if (!begun)
    wrong.push_back("attempt " + std::to_string(attempt) + " of answer " + name_of(answer) +
                    " was told of before it was safe");
}

void told_facts::said(const std::string& piece, std::size_t by_call, const std::string& question) {
  pieces_[piece] = {by_call, question};
}

// All new text of one attempt comes from one call, and from one about its question.
void told_facts::hear_delta(const uuid& answer, std::uint32_t attempt, const std::string& text) {
  const auto id = answer.str();
  check_attempt(id, attempt);
  std::istringstream words{text};
  for (std::string piece; words >> piece;) {
    const auto said = pieces_.find(piece);
    if (said == pieces_.end()) continue;
    const auto question = question_of_.find(id);
    if (question != question_of_.end() && question->second != said->second.question)
      wrong.push_back("'" + piece + "' was said to '" + said->second.question +
                      "' and is told as an answer to '" + question->second + "'");
    const auto [call, fresh] = call_of_.try_emplace({id, attempt}, said->second.call);
    if (!fresh && call->second != said->second.call)
      wrong.push_back("'" + piece + "' is not of the call that attempt " + std::to_string(attempt) + " of " +
                      name_of(id) + " made");
  }
}

void told_facts::process_began() {
  for (const auto& [room, told] : events_) {
    const auto in = uuid::parse(room).value();
    for (const auto& [seq, event] : told)
      if (!safe([&](storage::reader& from) {
            return is_there(from, in, seq, uuid::parse(event.id).value(), event.data);
          }))
        wrong.push_back("lost: event " + std::to_string(seq) + " of room " + name_of(room));
  }
}

} // namespace maru::test
