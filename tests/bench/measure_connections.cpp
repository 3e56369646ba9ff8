#include <memory>
#include <string>
#include <vector>

#include "tests/bench/measure.hpp"
#include "tests/bench/wire.hpp"

namespace maru::bench {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t patience_ns = 15 * ns_per_s;

struct tally {
  std::size_t ready = 0;
  std::uint64_t pongs = 0;
  failures failed;
};

class pinger final : public link {
public:
  explicit pinger(tally& all) : all_(all) {}

  void ping() { send(R"({"type":"ping","t":)" + std::to_string(next_++) + "}"); }
  void on_text(std::string_view frame) override {
    if (has_type(frame, "pong")) {
      if (number(field(frame, "\"t\"")) != awaited_++) all_.failed.add("a pong to another ping");
      ++all_.pongs;
      return ping();
    }
    if (has_type(frame, "welcome"))
      ++all_.ready;
    else
      all_.failed.add(frame.substr(0, 200));
  }
  void on_closed(int code) override { all_.failed.add("closed with " + std::to_string(code)); }

private:
  tally& all_;
  std::uint64_t next_ = 1, awaited_ = 1;
};

std::vector<std::string> tokens(place& at, std::size_t count) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(at.take_token(i));
  return out;
}

std::vector<std::unique_ptr<pinger>> enter(place& at, loop& on, const std::vector<std::string>& tokens,
                                           tally& all) {
  std::vector<std::unique_ptr<pinger>> out;
  for (const auto& one : tokens) {
    auto made = std::make_unique<pinger>(all);
    std::string why;
    if (!made->open(at.port(), one, why)) {
      all.failed.add(why);
      continue;
    }
    on.add(*made);
    out.push_back(std::move(made));
  }
  on.run(now_ns() + patience_ns, [&] { return all.ready == out.size(); });
  if (all.ready < out.size()) all.failed.add("a hello without a welcome", out.size() - all.ready);
  return out;
}

} // namespace

row measure_pings(place& at, const pings_options& what) {
  loop on;
  tally all;
  const auto links = enter(at, on, tokens(at, what.connections), all);
  for (const auto& one : links)
    for (std::size_t i = 0; i < what.window; ++i)
      one->ping();
  on.run(now_ns() + static_cast<std::int64_t>(what.time.warm_s * 1e9));

  const auto pongs = all.pongs;
  const stopwatch watch(at.server());
  on.run_for(what.time.seconds, [&] { return all.pongs > pongs; });
  const auto took = watch.stop();
  const auto made = static_cast<double>(all.pongs - pongs);

  row out;
  out.measurement = "pings: " + std::to_string(what.connections) + " connections, " +
                    std::to_string(what.window) + " outstanding each" + (at.bare() ? ", bare ws" : "");
  out.failed = std::move(all.failed);
  if (made == 0) out.failed.add("not one pong");
  out.figures = {{"pongs", made / took.seconds, "/s"}};
  add_costs(out, took, made, 1'000'000, "pong");
  return out;
}

row measure_memory(const house_options& where, std::size_t connections, double seconds) {
  house home(where, {});
  loop on;
  const auto settle = [&] { on.run(now_ns() + static_cast<std::int64_t>(std::min(seconds, 1.0) * 1e9)); };
  settle();
  const auto at_rest = home.used().resident_kb;
  const auto who = tokens(home, connections);
  settle();
  const auto before = home.used().resident_kb;

  tally all;
  const auto links = enter(home, on, who, all);
  settle();
  const auto with = home.used().resident_kb;
  const auto cpu = home.used().cpu_seconds;
  const auto begin = now_ns();
  on.run(begin + static_cast<std::int64_t>(seconds * 1e9));
  const auto took = static_cast<double>(now_ns() - begin) / 1e9;

  row out;
  out.measurement = "memory: " + std::to_string(connections) + " idle connections";
  out.figures = {{"resident at rest", at_rest / 1024, "MiB"},
                 {"resident after the accounts were made", before / 1024, "MiB"},
                 {"resident with the connections", with / 1024, "MiB"},
                 {"per idle connection",
                  (with - before) / static_cast<double>(std::max<std::size_t>(links.size(), 1)), "KiB"},
                 {"server CPU while idle", (home.used().cpu_seconds - cpu) / took * 100, "% of a core"}};
  out.failed = std::move(all.failed);
  return out;
}

} // namespace maru::bench
