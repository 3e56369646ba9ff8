// One room that many watch. A person has one account here and each viewer is one of their devices.

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/measure.hpp"
#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t patience_ns = 30 * ns_per_s;
constexpr int slow_reader = 4508;

// What is shown in the room: one thing after the other, the next once all fast viewers have seen the last.
struct show {
  struct part {
    std::string text;
    std::int64_t first_seen_at = 0;
  };
  std::string room;
  std::size_t pieces = 0; // 0: parts are messages, otherwise answers
  std::deque<part> parts;
  std::size_t fast = 0, fast_done = 0; // with the newest part
  std::size_t ready = 0;
  std::uint64_t frames = 0, bytes = 0, delivered = 0; // to fast viewers; pieces, or messages
  std::uint64_t slow_frames = 0, slow_delivered = 0;
  std::size_t closed_as_slow = 0;
  samples lag; // behind the first viewer, at the end of a part
  failures failed;
};

class viewer final : public link {
public:
  viewer(show& all, bool slow) : all_(all), slow_(slow) {}

  void on_text(std::string_view frame) override;
  void on_closed(int code) override;
  [[nodiscard]] bool slow() const { return slow_; }
  [[nodiscard]] std::size_t seen() const { return seen_; }

private:
  void take_event(std::string_view frame);
  void take_base(std::string_view frame);
  void take_delta(std::string_view frame);
  void take_end(std::string_view text);
  void count(std::uint64_t what);
  [[nodiscard]] std::string_view expected() const {
    return seen_ < all_.parts.size() ? std::string_view(all_.parts[seen_].text) : std::string_view();
  }

  show& all_;
  const bool slow_;
  std::size_t seen_ = 0; // parts, to their end
  std::uint64_t seq_ = 0, n_ = 0;
  std::size_t at_ = 0; // how much of the part has come
};

void viewer::count(std::uint64_t what) { (slow_ ? all_.slow_delivered : all_.delivered) += what; }

void viewer::on_text(std::string_view frame) {
  ++(slow_ ? all_.slow_frames : all_.frames);
  if (!slow_) all_.bytes += frame.size();
  if (has_type(frame, "delta")) return take_delta(frame);
  if (has_type(frame, "event")) return take_event(frame);
  if (has_type(frame, "answer")) return take_base(frame);
  if (has_type(frame, "welcome")) return send(R"({"type":"open","room":")" + all_.room + "\"}");
  if (has_type(frame, "opened")) {
    seq_ = number(field(frame, "\"head\""));
    ++all_.ready;
    return;
  }
  if (!has_type(frame, "ack")) all_.failed.add(frame.substr(0, 200));
}

void viewer::take_delta(std::string_view frame) {
  const auto n = number(field(frame, "\"n\""));
  const auto given = field(frame, "\"count\"");
  const auto pieces = given.empty() ? 1 : number(given);
  const auto text = field(frame, "\"text\"");
  if (n != n_ + pieces) all_.failed.add("a gap between deltas");
  if (expected().substr(at_, text.size()) != text) all_.failed.add("a piece that is not the answer's");
  n_ = n;
  at_ += text.size();
  count(pieces);
}

void viewer::take_base(std::string_view frame) {
  n_ = number(field(frame, "\"n\""));
  at_ = field(frame, "\"text\"").size();
}

void viewer::take_event(std::string_view frame) {
  const auto seq = number(field(frame, "\"seq\""));
  if (seq != ++seq_) all_.failed.add("an event out of order");
  seq_ = seq;
  const auto kind = field(frame, "\"kind\"");
  const auto text = field(frame, "\"text\"", frame.find("\"data\":"));
  if (kind == (all_.pieces > 0 ? "answer" : "message")) return take_end(text);
  if (kind != "message") all_.failed.add(kind);
}

void viewer::take_end(std::string_view text) {
  if (text != expected()) all_.failed.add("an end with another text");
  if (all_.pieces > 0 && n_ != all_.pieces) all_.failed.add("an end before all pieces");
  if (all_.pieces == 0) count(1);
  auto& part = all_.parts[seen_++];
  const auto now = now_ns();
  if (part.first_seen_at == 0) part.first_seen_at = now;
  if (slow_) return;
  all_.lag.add(now - part.first_seen_at);
  ++all_.fast_done;
}

void viewer::on_closed(int code) {
  if (slow_ && code == slow_reader)
    ++all_.closed_as_slow;
  else
    all_.failed.add("closed with " + std::to_string(code));
}

class theatre {
public:
  theatre(house& home, const viewers_options& what);

  void play(double seconds);
  void play_until_boxes_overflow();
  void end();
  show all;

private:
  void next_part();
  void let_slow_read();

  const viewers_options what_;
  loop on_;
  std::vector<std::unique_ptr<viewer>> viewers_;
};

theatre::theatre(house& home, const viewers_options& what) : what_(what) {
  const auto who = home.sign_up("viewer");
  all.room = home.make_room(who);
  all.pieces = what.pieces;
  all.fast = what.viewers - what.slow;
  for (std::size_t i = 0; i < what.viewers; ++i) {
    auto one = std::make_unique<viewer>(all, i >= all.fast);
    std::string why;
    if (!one->open(home.port(), who.token, why)) {
      all.failed.add(why);
      continue;
    }
    on_.add(*one);
    viewers_.push_back(std::move(one));
    on_.run(now_ns() + 1);
  }
  on_.run(now_ns() + patience_ns, [&] { return all.ready == viewers_.size(); });
  if (all.ready < what.viewers) all.failed.add("a viewer that sees nothing", what.viewers - all.ready);
  for (const auto& one : viewers_)
    if (one->slow() && one->is_open()) one->stop_reading();
  all.fast_done = all.fast;
}

void theatre::next_part() {
  char id[37];
  std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012zx", all.parts.size() + 1);
  const auto question = "Part " + std::to_string(all.parts.size());
  const auto text = all.pieces > 0 ? question : std::string(what_.post_bytes, 'x');
  all.parts.push_back({all.pieces > 0 ? test::expected_answer(question, all.pieces) : text, 0});
  all.fast_done = 0;
  viewers_.front()->send(R"({"type":"send","parent":null,"id":")" + std::string(id) + R"(","room":")" +
                         all.room + (all.pieces > 0 ? R"(","text":")" : R"(","agents":[],"text":")") + text +
                         "\"}");
}

void theatre::let_slow_read() {
  for (const auto& one : viewers_)
    if (one->slow()) one->sip(what_.sip_bytes);
}

void theatre::play(double seconds) {
  constexpr std::int64_t sip_every_ns = 100'000'000;
  const auto end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
  for (auto next_sip = now_ns(); now_ns() < end && viewers_.front()->is_open();) {
    on_.run(std::min(end, next_sip), [&] {
      if (all.fast_done >= all.fast) next_part();
      return false;
    });
    next_sip += sip_every_ns;
    if (what_.sip_bytes > 0) let_slow_read();
  }
}

void theatre::play_until_boxes_overflow() {
  constexpr std::size_t more_than_box_and_kernel_hold = 20'000'000;
  for (const auto end = now_ns() + patience_ns;
       now_ns() < end && all.parts.size() * what_.post_bytes < more_than_box_and_kernel_hold;)
    play(0.1);
}

// The last part is seen to its end, also by those who now read again.
void theatre::end() {
  on_.run(now_ns() + patience_ns, [&] { return all.fast_done >= all.fast; });
  if (all.fast_done < all.fast) all.failed.add("a part not seen to its end", all.fast - all.fast_done);
  for (const auto& one : viewers_)
    one->read_on();
  const auto behind = [&] {
    return std::count_if(viewers_.begin(), viewers_.end(),
                         [&](const auto& one) { return one->is_open() && one->seen() < all.parts.size(); });
  };
  on_.run(now_ns() + patience_ns, [&] { return behind() == 0; });
  if (behind() > 0)
    all.failed.add("a slow viewer that never sees the end", static_cast<std::uint64_t>(behind()));
}

} // namespace

row measure_viewers(const house_options& where, const viewers_options& what) {
  house home(where, {std::max<std::size_t>(what.pieces, 1), what.delay_ms, "restart"});
  theatre in(home, what);
  auto& all = in.all;
  in.play(what.time.warm_s);

  all.lag.clear();
  const auto frames = all.frames, bytes = all.bytes, delivered = all.delivered;
  const stopwatch watch(home.server());
  in.play(what.time.seconds);
  for (const auto end = now_ns() + patience_ns; all.delivered == delivered && now_ns() < end;)
    in.play(0.1);
  const auto took = watch.stop();
  const auto got_frames = static_cast<double>(all.frames - frames);
  const auto got = static_cast<double>(all.delivered - delivered);
  const auto got_bytes = static_cast<double>(all.bytes - bytes);
  const auto resident = home.used().resident_kb;
  if (what.slow_are_cut) in.play_until_boxes_overflow();
  in.end();

  row out;
  out.measurement =
      "viewers: " + std::to_string(what.viewers) +
      (what.pieces > 0 ? ", D=" + std::to_string(what.delay_ms) + " T=" + std::to_string(what.pieces)
                       : ", messages of " + std::to_string(what.post_bytes) + " bytes") +
      (what.slow == 0
           ? ""
           : ", " + std::to_string(what.slow) + " of them read " +
                 (what.sip_bytes == 0 ? "nothing" : std::to_string(what.sip_bytes * 10) + " bytes/s"));
  out.failed = std::move(all.failed);
  if (got == 0) out.failed.add("nothing was seen");
  if (what.slow_are_cut && all.closed_as_slow != what.slow)
    out.failed.add("a slow viewer that was not closed");
  const std::string thing = what.pieces > 0 ? "piece" : "message";
  out.figures = {{"frames to the others", got_frames / took.seconds, "/s"},
                 {thing + "s to the others", got / took.seconds, "/s"},
                 {"bytes to the others", got_bytes / took.seconds / 1e6, "MB/s"},
                 {"frames a " + thing, got_frames / std::max(got, 1.0), ""},
                 {"end seen after the first viewer, p50", all.lag.percentile_ms(50), "ms"},
                 {"end seen after the first viewer, p99", all.lag.percentile_ms(99), "ms"},
                 {"end seen after the first viewer, most", all.lag.most_ms(), "ms"}};
  add_costs(out, took, got, 1'000'000, thing);
  out.figures.push_back({"server's resident memory", resident / 1024, "MiB"});
  if (what.slow == 0) return out;
  out.figures.push_back({"slow ones closed with 4508", static_cast<double>(all.closed_as_slow), ""});
  out.figures.push_back(
      {"frames a " + thing + " to the slow",
       static_cast<double>(all.slow_frames) / std::max(static_cast<double>(all.slow_delivered), 1.0), ""});
  return out;
}

} // namespace maru::bench
