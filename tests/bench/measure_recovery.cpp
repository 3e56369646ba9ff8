// The server is killed in the middle of many streams and started again; its clients come back as soon as
// somebody listens.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/measure.hpp"
#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t patience_ns = 30 * ns_per_s;
constexpr std::int64_t dial_every_ns = 2 * ns_per_ms;

struct tally {
  std::size_t pieces = 0;
  std::size_t ready = 0;
  std::size_t whole = 0;
  bool down = false; // from the kill on
  failures failed;
};

// One question, and what becomes of it. It follows the contract: what `opened` and `answer` give is the base
// of what follows, and all else must join on without a gap or a repeat.
class asker final : public link {
public:
  asker(std::size_t number, seat mine, tally& all)
      : question_("What becomes of " + std::to_string(number) + "?"),
        expected_(test::expected_answer(question_, all.pieces)), seat_(std::move(mine)), all_(all) {
    char id[48];
    std::snprintf(id, sizeof id, "%08zx-0000-4000-8000-000000000001", number);
    id_ = id;
  }

  void ask() {
    send(R"({"type":"send","id":")" + id_ + R"(","room":")" + seat_.room + R"(","text":")" + question_ +
         "\"}");
  }
  bool come_back(std::uint16_t port) { return dial(port, seat_.token); }
  void on_text(std::string_view frame) override;
  void on_closed(int) override {
    if (!all_.down) all_.failed.add("closed before the kill");
  }

  [[nodiscard]] const std::string& token() const { return seat_.token; }
  [[nodiscard]] std::uint64_t shown() const { return n_; }
  [[nodiscard]] bool whole() const { return ended_at_ != 0; }

  std::int64_t goes_on_at_ = 0; // the first piece after the kill
  std::int64_t ended_at_ = 0;
  std::uint64_t shown_before_ = 0; // pieces, until the kill
  std::uint64_t goes_on_from_ = 0;

private:
  void take_opened(std::string_view frame);
  void take_event(std::string_view frame);
  void take_base(std::string_view state);
  void take_delta(std::string_view frame);

  const std::string question_, expected_;
  std::string id_;
  const seat seat_;
  tally& all_;
  std::uint64_t seq_ = 0, n_ = 0, attempt_ = 0;
  std::size_t at_ = 0;
};

void asker::on_text(std::string_view frame) {
  if (has_type(frame, "delta")) return take_delta(frame);
  if (has_type(frame, "event")) return take_event(frame);
  if (has_type(frame, "answer")) return take_base(frame);
  if (has_type(frame, "opened")) return take_opened(frame);
  if (has_type(frame, "welcome"))
    return send(R"({"type":"open","room":")" + seat_.room + R"(","after":)" + std::to_string(seq_) + "}");
  if (!has_type(frame, "ack")) all_.failed.add(frame.substr(0, 200));
}

void asker::take_opened(std::string_view frame) {
  if (!all_.down) {
    ++all_.ready;
    return;
  }
  const auto unfinished = frame.find("\"answers\":[{");
  if (unfinished != frame.npos) return take_base(frame.substr(unfinished));
  if (number(field(frame, "\"head\"")) <= seq_)
    all_.failed.add("neither the answer nor its end after the kill");
}

// A state of the answer: the base of what follows. The last one before the first piece is what the answer
// goes on from.
void asker::take_base(std::string_view state) {
  const auto attempt = number(field(state, "\"attempt\""));
  const auto text = field(state, "\"text\"");
  if (std::string_view(expected_).substr(0, text.size()) != text)
    all_.failed.add("a base that is not the answer's");
  if (attempt < attempt_) all_.failed.add("an attempt older than one seen");
  attempt_ = attempt;
  n_ = number(field(state, "\"n\""));
  at_ = text.size();
  if (all_.down && goes_on_at_ == 0) goes_on_from_ = n_;
}

void asker::take_delta(std::string_view frame) {
  const auto n = number(field(frame, "\"n\""));
  const auto given = field(frame, "\"count\"");
  const auto count = given.empty() ? 1 : number(given);
  const auto text = field(frame, "\"text\"");
  if (n != n_ + count) all_.failed.add(n <= n_ ? "a piece twice" : "a hole");
  if (std::string_view(expected_).substr(at_, text.size()) != text)
    all_.failed.add("a piece that is not the answer's");
  n_ = n;
  at_ += text.size();
  if (all_.down && goes_on_at_ == 0) goes_on_at_ = now_ns();
}

void asker::take_event(std::string_view frame) {
  const auto seq = number(field(frame, "\"seq\""));
  if (seq != seq_ + 1) all_.failed.add("an event out of order");
  seq_ = seq;
  const auto kind = field(frame, "\"kind\"");
  if (kind == "message") return;
  if (kind != "answer") return all_.failed.add(kind);
  if (whole()) return all_.failed.add("an end too many");
  if (field(frame, "\"text\"", frame.find("\"data\":")) != expected_)
    all_.failed.add("an answer with another text");
  if (n_ != all_.pieces) all_.failed.add("an end before all pieces");
  ended_at_ = now_ns();
  ++all_.whole;
}

using askers = std::vector<std::unique_ptr<asker>>;

askers enter(house& home, loop& on, std::size_t count, tally& all) {
  askers out;
  for (std::size_t i = 0; i < count; ++i) {
    auto one = std::make_unique<asker>(i, home.take_seat(i), all);
    std::string why;
    if (!one->open(home.port(), one->token(), why)) {
      all.failed.add(why);
      continue;
    }
    on.add(*one);
    out.push_back(std::move(one));
    on.run(now_ns() + 1);
  }
  on.run(now_ns() + patience_ns, [&] { return all.ready == out.size(); });
  if (all.ready < out.size()) all.failed.add("a room that does not open", out.size() - all.ready);
  return out;
}

// Serves the links, and dials again for whoever has none.
void follow(house& home, loop& on, const askers& who, std::int64_t until,
            const std::function<bool()>& enough) {
  while (now_ns() < until && !enough()) {
    for (const auto& one : who) {
      if (one->is_open()) continue;
      if (!one->come_back(home.port())) break; // nobody listens
      on.add(*one);
    }
    on.run(std::min(until, now_ns() + dial_every_ns), enough);
  }
}

} // namespace

row measure_kill(const house_options& where, const kill_options& what) {
  house home(where, {what.pieces, what.delay_ms, what.recovery});
  tally all;
  all.pieces = what.pieces;
  loop on;
  const auto who = enter(home, on, what.streams, all);
  for (const auto& one : who)
    one->ask();
  on.run(now_ns() + patience_ns, [&] {
    return std::all_of(who.begin(), who.end(),
                       [&](const auto& one) { return one->shown() >= what.pieces / 2; });
  });

  row out;
  const auto streaming = std::count_if(who.begin(), who.end(),
                                       [](const auto& one) { return one->shown() > 0 && !one->whole(); });
  for (const auto& one : who)
    one->shown_before_ = one->shown();
  all.down = true;
  const auto killed = now_ns();
  home.kill();
  const auto nothing = [] { return false; };
  follow(home, on, who, killed + static_cast<std::int64_t>(what.wait_s * 1e9), nothing);
  const auto started = now_ns();
  home.begin_start();
  follow(home, on, who, now_ns() + patience_ns, [&] { return all.whole == who.size(); });
  // Whatever would come too much, comes now.
  on.run(now_ns() + 200 * ns_per_ms);
  if (all.whole < who.size()) all.failed.add("a question without an end", who.size() - all.whole);

  samples from_kill, from_start, late;
  double kept = 0, again = 0;
  for (const auto& one : who) {
    if (one->goes_on_at_ == 0 || !one->whole()) continue;
    const auto own =
        static_cast<std::int64_t>((what.pieces - one->goes_on_from_) * what.delay_ms) * ns_per_ms;
    from_kill.add(one->goes_on_at_ - killed);
    from_start.add(one->goes_on_at_ - started);
    late.add(one->ended_at_ - started - own);
    kept += static_cast<double>(one->goes_on_from_);
    again += static_cast<double>(one->shown_before_ - std::min(one->shown_before_, one->goes_on_from_));
  }
  if (streaming == 0) all.failed.add("no stream was under way at the kill");
  out.measurement =
      "kill -9 in " + std::to_string(what.streams) + " streams of " + std::to_string(what.pieces) +
      " pieces, recovery=" + what.recovery + ", started " +
      (what.wait_s > 0 ? "after " + std::to_string(static_cast<int>(what.wait_s)) + " s" : "at once");
  out.figures = {{"whole in the end", static_cast<double>(all.whole), ""},
                 {"under way at the kill", static_cast<double>(streaming), ""},
                 {"kill to the stream going on, p50", from_kill.percentile_ms(50), "ms"},
                 {"kill to the stream going on, most", from_kill.most_ms(), "ms"},
                 {"start to the stream going on, p50", from_start.percentile_ms(50), "ms"},
                 {"start to the stream going on, most", from_start.most_ms(), "ms"},
                 {"start to the end, less the answer's own time, most", late.most_ms(), "ms"},
                 {"pieces kept", kept, ""},
                 {"pieces shown and made again", again, ""}};
  out.failed = std::move(all.failed);
  return out;
}

} // namespace maru::bench
