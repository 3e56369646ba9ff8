#pragma once

// One person in one room, asking an agent.

#include "tests/support/catch.hpp"
#include "tests/support/world.hpp"

namespace maru::test {

struct asking {
  world w;
  uuid room;
  device* d;
  scripted_model& model;

  explicit asking(const std::vector<std::string>& agents = {"maru"},
                  const std::function<void(config::settings&)>& change = {})
      : w(change), room(w.add_room(agents)), d(&w.watch(room)),
        model(w.model(agents.at(0) == "keeper" ? "continue" : "restart")) {}

  // The ids of the answers that were asked for.
  std::vector<uuid> post(actors::send_in what) {
    const auto id = d->send(std::move(what));
    w.settle();
    return answers_of(d->acks(id).at(0));
  }
  std::vector<uuid> post(const std::string& text, std::optional<std::vector<std::string>> agents = {}) {
    return post(message(text, std::move(agents)));
  }
  uuid ask(const std::string& text, std::optional<std::vector<std::string>> agents = {}) {
    return post(text, std::move(agents)).at(0);
  }
  [[nodiscard]] actors::send_in message(const std::string& text,
                                        std::optional<std::vector<std::string>> agents = {}) const {
    actors::send_in what;
    what.key = uuid::v7(0);
    what.id = what.key.str();
    what.room = room;
    what.text = text;
    what.agents = std::move(agents);
    return what;
  }
  uuid ask_below(const std::string& parent, const std::string& text,
                 std::optional<std::vector<std::string>> agents = {}) {
    auto what = message(text, std::move(agents));
    what.parent_is = actors::parent_rule::given;
    what.parent = uuid::parse(parent).value();
    return post(std::move(what)).at(0);
  }
  void say(std::vector<std::string> pieces) {
    model.last().say(std::move(pieces));
    w.settle();
  }
  void finish() {
    model.last().finish();
    w.settle();
  }
  void answer(const std::string& text) {
    say({text});
    finish();
  }
  void fail(llm::fault what = llm::fault::cut, bool retryable = true) {
    model.last().fail(what, retryable);
    w.settle();
  }
  // The process is gone; the same person comes back to the new one.
  void come_back() { d = &w.watch(room); }

  std::string event_of(const std::string& kind, const std::string& text) {
    for (const auto& e : w.events(room))
      if (e.kind == kind && nlohmann::json::parse(e.data)["text"] == text) return e.id.str();
    FAIL("there is no " << kind << " " << text);
    return "";
  }
  nlohmann::json end(const uuid& answer) { return end_of(w, room, answer); }
  [[nodiscard]] std::vector<nlohmann::json> frames_of(const uuid& answer, std::uint32_t attempt) const {
    std::vector<nlohmann::json> out;
    for (const auto& f : d->frames)
      if ((f["type"] == "answer" || f["type"] == "delta") && f["answer"] == answer.str() &&
          f["attempt"] == attempt)
        out.push_back(f);
    return out;
  }
  std::string checkpointed(const uuid& answer) {
    const auto image = w.rig().read([&](storage::reader& from) { return from.image(room, 0); }).value();
    for (const auto& c : image->checkpoints)
      if (c.answer == answer) return c.text;
    return "";
  }
};

} // namespace maru::test
