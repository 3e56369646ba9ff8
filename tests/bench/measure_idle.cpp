// What it takes to bring a room or an agent to life: the first time that each is met, beside the second.

#include <string>

#include "tests/bench/filled.hpp"
#include "tests/bench/measure.hpp"
#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr std::int64_t patience_ns = 15'000'000'000;

// Does one thing at a time.
class visitor final : public link {
public:
  explicit visitor(failures& failed) : failed_(failed) {}

  void on_text(std::string_view frame) override {
    if (has_type(frame, "error")) return failed_.add(frame.substr(0, 200));
    if (has_type(frame, "delta")) {
      if (field(frame, "\"count\"").empty() && number(field(frame, "\"n\"")) == 1) ++first_pieces;
      return;
    }
    welcomes += has_type(frame, "welcome") ? 1 : 0;
    opened += has_type(frame, "opened") ? 1 : 0;
    acks += has_type(frame, "ack") ? 1 : 0;
    ends += has_type(frame, "event") && field(frame, "\"kind\"") == "answer" ? 1 : 0;
  }
  void on_closed(int code) override { failed_.add("closed with " + std::to_string(code)); }

  std::size_t welcomes = 0, opened = 0, acks = 0, first_pieces = 0, ends = 0;

private:
  failures& failed_;
};

class visit {
public:
  visit(house& home, const std::string& token) : one_(failed) {
    std::string why;
    if (!one_.open(home.port(), token, why)) throw std::runtime_error(why);
    on_.add(one_);
    wait(one_.welcomes, 1);
  }

  void open_twice(const std::string& room) {
    opened_first.add(open(room));
    close(room);
    opened_again.add(open(room));
    close(room);
  }
  void post_twice(const std::string& room) {
    acked_first.add(post(room));
    acked_again.add(post(room));
  }
  // In a room that lives: it is the agent that does not.
  void ask_twice(const std::string& room) {
    open(room);
    asked_first.add(ask(room));
    asked_again.add(ask(room));
    close(room);
  }

  failures failed;
  samples opened_first, opened_again, acked_first, acked_again, asked_first, asked_again;

private:
  std::int64_t wait(const std::size_t& count, std::size_t wanted) {
    const auto begin = now_ns();
    on_.run(begin + patience_ns, [&] { return count >= wanted || !one_.is_open(); });
    if (count < wanted) failed.add("no reply");
    return now_ns() - begin;
  }
  // Nothing is replayed: what is beyond the head counts as the head.
  std::int64_t open(const std::string& room) {
    one_.send(R"({"type":"open","after":1000000000,"room":")" + room + "\"}");
    return wait(one_.opened, one_.opened + 1);
  }
  void close(const std::string& room) { one_.send(R"({"type":"close","room":")" + room + "\"}"); }
  void send(const std::string& room, const char* more) {
    char id[37];
    std::snprintf(id, sizeof id, "%08x-0000-4000-8000-%012zx", static_cast<unsigned>(now_ns() >> 10U),
                  ++sent_);
    one_.send(R"({"type":"send","id":")" + std::string(id) + R"(","room":")" + room + "\"," + more + "}");
  }
  std::int64_t post(const std::string& room) {
    send(room, R"("agents":[],"text":"Anybody here?")");
    return wait(one_.acks, one_.acks + 1);
  }
  std::int64_t ask(const std::string& room) {
    const auto ends = one_.ends;
    send(room, R"("parent":null,"text":"Who is here?")");
    const auto took = wait(one_.first_pieces, one_.first_pieces + 1);
    wait(one_.ends, ends + 1);
    return took;
  }

  loop on_;
  visitor one_;
  std::size_t sent_ = 0;
};

void tell(row& to, const std::string& what, samples& first, samples& again) {
  to.figures.push_back({what + " added, p50", first.percentile_ms(50) - again.percentile_ms(50), "ms"});
  to.figures.push_back({what + " added, p99", first.percentile_ms(99) - again.percentile_ms(99), "ms"});
  to.figures.push_back({what + ", idle, p50", first.percentile_ms(50), "ms"});
  to.figures.push_back({what + ", idle, p99", first.percentile_ms(99), "ms"});
  to.figures.push_back({what + ", living, p50", again.percentile_ms(50), "ms"});
  to.figures.push_back({what + ", living, p99", again.percentile_ms(99), "ms"});
}

} // namespace

row measure_idle(const house_options& where, const start_options& what) {
  constexpr std::size_t ways = 3;
  const auto& full = filled(where, what.rooms, what.messages);
  house home(where, {1, 0, "restart"}, full.data); // a fresh process: no room lives
  visit all(home, home.sign_in(full.owner).token);
  for (std::size_t i = 0; i < full.rooms.size(); ++i) {
    if (i % ways == 0) all.open_twice(full.rooms[i]);
    if (i % ways == 1) all.post_twice(full.rooms[i]);
    if (i % ways == 2) all.ask_twice(full.rooms[i]);
  }
  row out;
  out.measurement = "idle rooms of " + std::to_string(what.messages) + " messages, one after the other, " +
                    std::to_string(full.rooms.size() / ways) + " each way";
  tell(out, "open to opened", all.opened_first, all.opened_again);
  tell(out, "post to ack", all.acked_first, all.acked_again);
  tell(out, "question to first piece, idle agent", all.asked_first, all.asked_again);
  out.figures.push_back({"server's resident memory", home.used().resident_kb / 1024, "MiB"});
  out.failed = std::move(all.failed);
  return out;
}

} // namespace maru::bench
