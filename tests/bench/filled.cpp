#include "tests/bench/filled.hpp"

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <semaphore>
#include <stdexcept>

#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "storage/store.hpp"

namespace maru::bench {
namespace {

constexpr auto owner_name = "owner";
constexpr std::size_t messages_a_step = 100;
constexpr std::size_t messages_an_answer = 10; // each tenth was answered
constexpr std::size_t families = 10'000;       // devices that are logged in
constexpr std::ptrdiff_t steps_under_way = 64;
constexpr std::size_t mark_bytes = 48;

std::int64_t unix_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// Steps to a store, some at a time; the first refusal is told at the end.
class writer {
public:
  explicit writer(const std::filesystem::path& file)
      : store_(storage::open({"sqlite:" + file.string(), 1, storage::threading::own, {}, {}})),
        epoch_(store_->claim_shards("bench")) {}

  void submit(const uuid& shard_of, std::vector<storage::part> parts) {
    room_.acquire();
    store_->submit({{storage::shard_of(shard_of), epoch_}, std::move(parts)}, [this](storage::outcome o) {
      if (!o) {
        const std::lock_guard lock(mutex_);
        if (refused_.empty()) refused_ = std::string(storage::word(o.why)) + " " + o.detail;
      }
      room_.release();
    });
  }

  void finish() {
    for (std::ptrdiff_t i = 0; i < steps_under_way; ++i)
      room_.acquire();
    store_.reset();
    if (!refused_.empty()) throw std::runtime_error("filling the database: " + refused_);
  }

private:
  std::counting_semaphore<> room_{steps_under_way};
  std::mutex mutex_;
  std::string refused_;
  std::unique_ptr<storage::store> store_;
  std::uint64_t epoch_;
};

class room_filler {
public:
  room_filler(writer& to, const uuid& owner) : to_(to), owner_(owner) {
    const auto now = unix_ms();
    storage::room_row row;
    row.id = id_;
    row.title = "filled";
    row.agents = {"maru"};
    row.created_by = owner;
    row.created_at = row.active_at = now;
    to.submit(id_, {storage::create_room{row}, storage::add_member{{id_, owner, "owner", now, 0}}});
  }

  void post(std::size_t messages) {
    for (std::size_t i = 0; i < messages; ++i) {
      if (i % messages_an_answer == 0)
        exchange();
      else
        say("message", storage::author_row{"user", owner_, owner_name}, uuid::v7(unix_ms()),
            nlohmann::json::array());
      if (i % messages_a_step == messages_a_step - 1) flush();
    }
    flush();
  }
  [[nodiscard]] const uuid& id() const { return id_; }

private:
  uuid say(const char* kind, const storage::author_row& by, const uuid& client_id,
           const nlohmann::json& asked) {
    storage::event_row row;
    row.room = id_;
    row.seq = ++head_;
    row.at = unix_ms();
    row.id = uuid::v7(row.at);
    row.kind = kind;
    row.author = by;
    if (!last_.nil()) row.parent = last_;
    row.data = nlohmann::json{
        {"text", "Message " + std::to_string(head_) + " of a room that has been used for long."},
        {"client_id", client_id.str()},
        {"answers",
         asked}}.dump();
    last_ = row.id;
    parts_.emplace_back(storage::append_event{row});
    if (by.kind == "user")
      parts_.emplace_back(storage::record_command{
          {id_, owner_, client_id, std::string(mark_bytes, 'm'), row.seq, row.id, asked.dump()}});
    return row.id;
  }

  // A question and its answer.
  void exchange() {
    const auto answer = uuid::v7(unix_ms());
    const auto question = say("message", {"user", owner_, owner_name}, uuid::v7(unix_ms()),
                              {{{"answer", answer.str()}, {"agent", "maru"}}});
    storage::answer_row row;
    row.id = answer;
    row.room = id_;
    row.question = question;
    row.question_seq = head_;
    row.agent = "maru";
    row.asker = owner_;
    parts_.emplace_back(storage::open_answer{row});
    parts_.emplace_back(storage::begin_attempt{answer, 1, 0});
    const auto event = say("answer", {"agent", {}, "maru"}, {}, nlohmann::json::array());
    parts_.emplace_back(storage::end_answer{answer, head_, event});
  }

  void flush() {
    if (!parts_.empty()) to_.submit(id_, std::exchange(parts_, {}));
  }

  writer& to_;
  const uuid owner_;
  const uuid id_ = uuid::v7(unix_ms());
  uuid last_;
  std::uint64_t head_ = 0;
  std::vector<storage::part> parts_;
};

void log_in_devices(writer& to, const uuid& owner) {
  const auto now = unix_ms();
  constexpr std::int64_t month_ms = 30LL * 24 * 3600 * 1000;
  std::vector<storage::part> parts;
  for (std::size_t i = 0; i < families; ++i) {
    const auto id = uuid::v7(now);
    storage::refresh_row row;
    row.hash = std::string(16, 'h') + std::string(id.bytes.begin(), id.bytes.end());
    row.family = id;
    row.account = owner;
    row.expires_at = now + month_ms;
    parts.emplace_back(storage::create_family{{id, owner, now, {}}});
    parts.emplace_back(storage::add_refresh{row});
    if (i % messages_a_step == messages_a_step - 1) to.submit(owner, std::exchange(parts, {}));
  }
  if (!parts.empty()) to.submit(owner, std::move(parts));
}

// The account is made by a server, which alone knows how a password is kept.
void fill(const house_options& where, const std::filesystem::path& data, std::size_t rooms,
          std::size_t messages) {
  const auto owner = uuid::parse(house(where, {}, data).sign_up(owner_name).id).value();
  std::ofstream list(data / "rooms");
  writer to(data / "maru.db");
  log_in_devices(to, owner);
  for (std::size_t i = 0; i < rooms; ++i) {
    room_filler one(to, owner);
    one.post(messages);
    list << one.id().str() << "\n";
  }
  to.finish();
}

struct kept_folder {
  filled_data what;
  bool keep = false;
  ~kept_folder() {
    std::error_code ignored;
    if (!keep) std::filesystem::remove_all(what.data, ignored);
  }
};

std::unique_ptr<kept_folder> made(const house_options& where, std::size_t rooms, std::size_t messages) {
  auto out = std::make_unique<kept_folder>();
  out->keep = where.keep;
  out->what.owner = owner_name;
  auto name = (where.folder / ("maru-bench-filled-" + std::to_string(rooms) + "x" + std::to_string(messages)))
                  .string();
  if (!where.keep && ::mkdtemp((name += "-XXXXXX").data()) == nullptr)
    throw std::runtime_error("cannot make a folder in " + name);
  out->what.data = name;
  const auto whole = out->what.data / "whole"; // written last
  if (!std::filesystem::exists(whole)) {
    if (where.keep) std::filesystem::remove_all(out->what.data);
    std::filesystem::create_directories(out->what.data);
    auto quietly = where;
    quietly.keep = false;
    fill(quietly, out->what.data, rooms, messages);
    std::ofstream{whole};
  }
  std::ifstream list(out->what.data / "rooms");
  for (std::string room; list >> room;)
    out->what.rooms.push_back(room);
  out->what.mebibytes =
      static_cast<double>(std::filesystem::file_size(out->what.data / "maru.db")) / 1048576.0;
  return out;
}

} // namespace

const filled_data& filled(const house_options& where, std::size_t rooms, std::size_t messages) {
  static std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<kept_folder>> all;
  auto& one = all[{rooms, messages}];
  if (!one) one = made(where, rooms, messages);
  return one->what;
}

} // namespace maru::bench
