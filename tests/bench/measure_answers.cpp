#include <memory>
#include <string>
#include <vector>

#include "tests/bench/measure.hpp"
#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t patience_ns = 15 * ns_per_s;

std::string command_id(std::size_t user, std::uint64_t number) {
  char out[37];
  std::snprintf(out, sizeof out, "%08zx-0000-4000-8000-%012llx", user,
                static_cast<unsigned long long>(number));
  return out;
}

// What all users of one measurement share.
struct tally {
  std::size_t pieces = 0;
  bool history = false;
  bool bare = false;  // the server acks nothing and keeps nothing: pieces and `end` are all
  bool asking = true; // a finished answer is followed by the next question
  std::uint64_t answers = 0;
  std::uint64_t frames = 0;
  std::size_t ready = 0, waiting = 0;
  samples first_piece, whole;
  failures failed;
};

class user final : public link {
public:
  user(std::size_t number, std::string room, tally& all)
      : number_(number), room_(std::move(room)), all_(all) {}

  void ask();
  void on_text(std::string_view frame) override;
  void on_closed(int code) override;
  [[nodiscard]] bool waits() const { return waits_; }

private:
  void take_event(std::string_view frame);
  void take_base(std::string_view frame);
  void take_delta(std::string_view frame);
  void ended(std::string_view text);
  void done();
  void fail(std::string_view what) { all_.failed.add(what); }

  const std::size_t number_;
  const std::string room_;
  tally& all_;
  std::uint64_t questions_ = 0;
  std::string question_, expected_, answer_;
  std::uint64_t seq_ = 0; // of the last event
  std::uint64_t n_ = 0;   // of the last piece
  std::size_t at_ = 0;    // how much of the expected text has come
  std::int64_t asked_at_ = 0;
  bool waits_ = false;
  bool acked_ = false, ended_ = false;
};

void user::ask() {
  question_ = "What is " + std::to_string(number_) + " of " + std::to_string(++questions_) + "?";
  expected_ = test::expected_answer(question_, all_.pieces);
  answer_.clear();
  n_ = 0;
  at_ = 0;
  waits_ = true;
  acked_ = ended_ = false;
  ++all_.waiting;
  std::string frame = R"({"type":"send","id":")" + command_id(number_, questions_) + R"(","room":")" + room_ +
                      R"(","text":")" + question_ + '"';
  if (!all_.history) frame += R"(,"parent":null)";
  send(frame + '}');
  asked_at_ = now_ns();
}

void user::on_text(std::string_view frame) {
  ++all_.frames;
  if (has_type(frame, "delta")) return take_delta(frame);
  if (has_type(frame, "event")) return take_event(frame);
  if (has_type(frame, "answer")) return take_base(frame);
  if (all_.bare && has_type(frame, "end")) return ended({});
  if (has_type(frame, "ack")) {
    if (acked_ || field(frame, "\"duplicate\"") != "false") fail("an ack too many");
    acked_ = true;
    return done();
  }
  if (has_type(frame, "opened")) {
    seq_ = number(field(frame, "\"head\""));
    ++all_.ready;
    return;
  }
  if (has_type(frame, "welcome")) return send(R"({"type":"open","after":0,"room":")" + room_ + "\"}");
  if (!has_type(frame, "room")) fail(frame.substr(0, 200));
}

void user::take_event(std::string_view frame) {
  const auto seq = number(field(frame, "\"seq\""));
  const auto kind = field(frame, "\"kind\"");
  if (seq <= seq_ && kind != "answer" && all_.ready == 0) return; // replayed
  if (seq != seq_ + 1) fail("an event out of order");
  seq_ = seq;
  if (kind == "answer") return ended(field(frame, "\"text\"", frame.find("\"data\":")));
  if (kind.starts_with("answer")) {
    fail(kind);
    ended({});
  }
}

// A state of the answer: its n and text are where the deltas begin.
void user::take_base(std::string_view frame) {
  answer_ = field(frame, "\"answer\"", sizeof(R"({"type":"answer")") - 1);
  n_ = number(field(frame, "\"n\""));
  const auto text = field(frame, "\"text\"");
  if (std::string_view(expected_).substr(0, text.size()) != text) fail("a base that is not the answer's");
  at_ = text.size();
}

void user::take_delta(std::string_view frame) {
  const auto n = number(field(frame, "\"n\""));
  const auto given = field(frame, "\"count\"");
  const auto count = given.empty() ? 1 : number(given);
  const auto text = field(frame, "\"text\"");
  if (!waits_ || field(frame, "\"answer\"") != answer_) return fail("a delta of no answer");
  if (n != n_ + count) fail("a gap between deltas");
  if (std::string_view(expected_).substr(at_, text.size()) != text) fail("a piece that is not the answer's");
  if (n_ == 0) all_.first_piece.add(now_ns() - asked_at_);
  n_ = n;
  at_ += text.size();
}

void user::ended(std::string_view text) {
  if (!waits_ || ended_) return fail("an end too many");
  if (!text.empty() && text != expected_) fail("an answer with another text");
  if (n_ != all_.pieces || at_ != expected_.size()) fail("an end before all pieces");
  ended_ = true;
  all_.whole.add(now_ns() - asked_at_);
  done();
}

// The ack may come after the end of a quick answer.
void user::done() {
  if (!ended_ || (!acked_ && !all_.bare)) return;
  waits_ = false;
  --all_.waiting;
  ++all_.answers;
  if (all_.asking) ask();
}

void user::on_closed(int code) {
  fail("closed with " + std::to_string(code));
  if (waits_) --all_.waiting;
  waits_ = false;
}

std::vector<std::unique_ptr<user>> enter(place& at, loop& on, std::size_t count, tally& all) {
  std::vector<std::unique_ptr<user>> users;
  for (std::size_t i = 0; i < count; ++i) {
    const auto mine = at.take_seat(i);
    auto one = std::make_unique<user>(i, mine.room, all);
    std::string why;
    if (!one->open(at.port(), mine.token, why)) {
      all.failed.add(why);
      continue;
    }
    on.add(*one);
    users.push_back(std::move(one));
    on.run(now_ns() + 1);
  }
  on.run(now_ns() + patience_ns, [&] { return all.ready == users.size(); });
  if (all.ready < users.size()) all.failed.add("a room that does not open", users.size() - all.ready);
  return users;
}

// Spread over the time of one answer: people do not ask in step, and a closed loop would keep them in it.
void begin_asking(const std::vector<std::unique_ptr<user>>& users, loop& on, const answers_options& what) {
  constexpr std::int64_t ns_per_ms = 1'000'000;
  const auto whole_ns = static_cast<std::int64_t>(what.pieces * what.delay_ms) * ns_per_ms;
  const auto begin = now_ns();
  for (std::size_t i = 0; i < users.size(); ++i) {
    on.run(begin + whole_ns * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(users.size()));
    if (users[i]->is_open()) users[i]->ask();
  }
}

} // namespace

row measure_answers(place& at, const answers_options& what) {
  tally all;
  all.pieces = what.pieces;
  all.history = what.history;
  all.bare = at.bare();
  const auto own_first = at.model_first_piece_ms();
  loop on;
  const auto users = enter(at, on, what.users, all);
  begin_asking(users, on, what);
  on.run(now_ns() + static_cast<std::int64_t>(what.time.warm_s * 1e9));

  all.first_piece.clear();
  all.whole.clear();
  const auto answers = all.answers, frames = all.frames;
  const stopwatch watch(at.server());
  on.run_for(what.time.seconds, [&] { return all.answers > answers; });
  const auto took = watch.stop();
  const auto made = static_cast<double>(all.answers - answers);
  const auto seen = static_cast<double>(all.frames - frames);

  all.asking = false;
  on.run(now_ns() + patience_ns, [&] { return all.waiting == 0; });
  if (all.waiting > 0) all.failed.add("a question without an end", all.waiting);

  row out;
  out.measurement = "answers: C=" + std::to_string(what.users) + " D=" + std::to_string(what.delay_ms) +
                    " T=" + std::to_string(what.pieces) + (what.history ? " with history" : "") +
                    (at.bare() ? ", bare ws" : "");
  out.failed = std::move(all.failed);
  if (made == 0) {
    out.failed.add("not one answer");
    return out;
  }
  out.figures = {{"answers", made / took.seconds, "/s"},
                 {"frames", seen / took.seconds, "/s"},
                 {"first piece, p50", all.first_piece.percentile_ms(50), "ms"},
                 {"model's own first piece, p50", own_first, "ms"},
                 {"added to first piece, p50", all.first_piece.percentile_ms(50) - own_first, "ms"},
                 {"added to first piece, p99", all.first_piece.percentile_ms(99) - own_first, "ms"},
                 {"whole answer, p50", all.whole.percentile_ms(50), "ms"},
                 {"whole answer, p99", all.whole.percentile_ms(99), "ms"}};
  add_costs(out, took, made, 1000, "answer");
  out.figures.push_back({"server's resident memory", at.used().resident_kb / 1024, "MiB"});
  return out;
}

} // namespace maru::bench
