#include <algorithm>
#include <string>
#include <vector>

#include "tests/bench/measure.hpp"
#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t patience_ns = 15 * ns_per_s;

// The rooms are not open here: what comes back are acks alone.
class poster final : public link {
public:
  poster(std::vector<std::string> rooms, const posts_options& what)
      : rooms_(std::move(rooms)), text_(what.text_bytes, 'x'), acked_seqs_(rooms_.size()),
        sent_at_(what.in_flight), number_of_slot_(what.in_flight) {}

  void begin() {
    for (std::size_t slot = 0; slot < sent_at_.size(); ++slot)
      post(slot);
  }
  void on_text(std::string_view frame) override;
  void on_closed(int code) override {
    failed.add("closed with " + std::to_string(code));
    waiting = 0;
  }
  void check_seqs();

  bool ready = false, posting = true;
  std::uint64_t acked = 0;
  std::size_t waiting = 0;
  samples took;
  failures failed;

private:
  void post(std::size_t slot);
  void take_ack(std::string_view frame);

  // A command's id names its number and its slot, so an ack finds both without a map; and it grows with time,
  // as the ids of the browser client do.
  static constexpr std::size_t number_digits = 8, slot_at = 24, slot_digits = 12;

  const std::vector<std::string> rooms_;
  const std::string text_;
  std::vector<std::vector<std::uint64_t>> acked_seqs_;
  std::vector<std::int64_t> sent_at_;
  std::vector<std::uint64_t> number_of_slot_; // 0: free
  std::uint64_t posted_ = 0;
};

void poster::post(std::size_t slot) {
  char head[96];
  const auto number = ++posted_;
  const auto size =
      std::snprintf(head, sizeof head, R"({"type":"send","id":"%08llx-0000-7000-8000-%012zx","room":")",
                    static_cast<unsigned long long>(number), slot);
  std::string frame(head, static_cast<std::size_t>(size));
  frame.append(rooms_[number % rooms_.size()])
      .append(R"(","agents":[],"text":")")
      .append(text_)
      .append("\"}");
  number_of_slot_[slot] = number;
  sent_at_[slot] = now_ns();
  ++waiting;
  send(frame);
}

void poster::on_text(std::string_view frame) {
  if (has_type(frame, "ack")) return take_ack(frame);
  if (has_type(frame, "welcome")) {
    ready = true;
    return;
  }
  if (!has_type(frame, "room")) failed.add(frame.substr(0, 200));
}

void poster::take_ack(std::string_view frame) {
  const auto id = field(frame, "\"id\"");
  if (id.size() != slot_at + slot_digits) return failed.add("an ack without its id");
  const auto hex = [&](std::size_t from, std::size_t digits) {
    return std::stoull(std::string(id.substr(from, digits)), nullptr, 16);
  };
  const auto slot = hex(slot_at, slot_digits);
  const auto number = hex(0, number_digits);
  if (slot >= number_of_slot_.size() || number_of_slot_[slot] != number)
    return failed.add("an ack of nothing that waits");
  if (field(frame, "\"duplicate\"") != "false") failed.add("an ack of a duplicate");
  acked_seqs_[number % rooms_.size()].push_back(maru::bench::number(field(frame, "\"seq\"")));
  number_of_slot_[slot] = 0;
  --waiting;
  ++acked;
  took.add(now_ns() - sent_at_[slot]);
  if (posting) post(slot);
}

// Nobody else posts there: the numbers of a room have no gap and no repeat.
void poster::check_seqs() {
  for (auto& seqs : acked_seqs_) {
    std::sort(seqs.begin(), seqs.end());
    for (std::size_t i = 1; i < seqs.size(); ++i)
      if (seqs[i] != seqs[i - 1] + 1) failed.add("a gap or repeat in a room's numbers");
  }
}

} // namespace

row measure_posts(const house_options& where, const posts_options& what) {
  house home(where, {});
  const auto who = home.sign_up("poster");
  std::vector<std::string> rooms;
  for (std::size_t i = 0; i < what.rooms; ++i)
    rooms.push_back(home.make_room(who));

  row out;
  out.measurement = "durable posts: " + std::to_string(what.in_flight) + " in flight, " +
                    std::to_string(what.rooms) + (what.rooms == 1 ? " room" : " rooms");
  loop on;
  poster one(std::move(rooms), what);
  std::string why;
  if (!one.open(home.port(), who.token, why)) {
    out.failed.add(why);
    return out;
  }
  on.add(one);
  on.run(now_ns() + patience_ns, [&] { return one.ready; });
  one.begin();
  on.run(now_ns() + static_cast<std::int64_t>(what.time.warm_s * 1e9));

  one.took.clear();
  const auto acked = one.acked;
  const stopwatch watch(home.server());
  on.run_for(what.time.seconds, [&] { return one.acked > acked; });
  const auto spent = watch.stop();
  const auto made = static_cast<double>(one.acked - acked);

  one.posting = false;
  on.run(now_ns() + patience_ns, [&] { return one.waiting == 0; });
  if (one.waiting > 0) one.failed.add("a post without an ack", one.waiting);
  one.check_seqs();
  out.failed = std::move(one.failed);
  if (made == 0) out.failed.add("not one post");
  out.figures = {{"posts on disk", made / spent.seconds, "/s"},
                 {"post to ack, p50", one.took.percentile_ms(50), "ms"},
                 {"post to ack, p99", one.took.percentile_ms(99), "ms"}};
  add_costs(out, spent, made, 1000, "post");
  return out;
}

} // namespace maru::bench
