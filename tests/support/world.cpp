#include "tests/support/world.hpp"

#include <stdexcept>

#include <caf/typed_event_based_actor.hpp>

#include "actors/agent.hpp"
#include "actors/api.hpp"
#include "actors/callers.hpp"
#include "actors/common.hpp"
#include "actors/directory.hpp"
#include "actors/nursery.hpp"
#include "actors/relay.hpp"
#include "actors/room.hpp"
#include "actors/scheduler.hpp"
#include "actors/session.hpp"
#include "actors/store.hpp"
#include "actors/user.hpp"
#include "net/codec.hpp"

namespace maru::test {

namespace {

constexpr unsigned life_bits = 16;

// In memory where that can be had: no test waits for a disk.
std::filesystem::path new_folder() {
  std::filesystem::path place = "/dev/shm";
  std::error_code none;
  if (!std::filesystem::is_directory(place, none)) place = std::filesystem::temp_directory_path();
  auto name = (place / "maru-world-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{"no temporary folder"};
  return name;
}

config::settings settings_of_world() {
  config::settings s;
  s.limits.messages_per_minute_per_user = 0;
  config::provider_settings once;
  once.name = "restart";
  once.kind = "demo";
  auto on = once;
  on.name = "continue";
  on.continues = true;
  s.providers = {once, on};
  for (const auto& [name, provider] :
       {std::pair{"maru", "restart"}, {"second", "restart"}, {"keeper", "continue"}}) {
    config::agent_settings a;
    a.name = name;
    a.providers = {provider};
    a.model = "m";
    s.agents.push_back(std::move(a));
  }
  return s;
}

} // namespace

world::world(std::function<void(config::settings&)> change)
    : folder_(new_folder()), change_(std::move(change)) {
  start();
  ana = add_user("ana");
}

world::~world() {
  probe = nullptr;
  store_fault = nullptr;
  store_->die();
  api_ = nullptr;
  now_ = {};
  rig_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void world::restart() {
  const auto unix_ms = rig_->time().unix_ms();
  store_->die();
  auto was = std::exchange(probe, nullptr);
  api_ = nullptr;
  now_ = {};
  rig_.reset();
  for (auto& d : devices)
    d->lose();
  for (auto& [name, m] : models_)
    for (auto& c : m->calls)
      c->open = false;
  probe = std::move(was);
  start();
  rig_->time().advance(unix_ms - rig_->time().unix_ms());
  settle();
}

actors::nursery_actor world::start_nursery(
    const std::string& name,
    std::function<caf::strong_actor_ptr(caf::local_actor*, const std::string&, bool)> child) {
  actors::nursery_options o;
  o.name = name;
  o.time = now_.time;
  o.random = now_.random;
  o.start = std::move(child);
  return rig_->own(rig_->system().spawn(actors::nursery, std::move(o)));
}

void world::start() {
  using caf::strong_actor_ptr;
  rig_ = std::make_unique<actor_rig>(folder_);
  rig_->settings = settings_of_world();
  if (change_) change_(rig_->settings);
  rig_->fault = [this](std::string_view operation) {
    return store_fault ? store_fault(operation) : storage::failure::none;
  };
  store_ = std::make_shared<gated_store>(rig_->shared_db());
  now_ = rig_->make_services();
  now_.db = store_;
  now_.life = now_.epoch << life_bits;
  now_.random = [this] { return static_cast<double>(random_() >> 11U) * 0x1p-53; };
  now_.probe = [this](std::string_view place) {
    const auto it = reached.find(place);
    if (it == reached.end())
      reached.emplace(place, 1);
    else
      ++it->second;
    if (probe) probe(place);
  };
  codec_ = net::make_codec(*now_.settings, "test", "test");
  now_.codec = codec_.get();
  auto models = std::make_shared<actors::providers>();
  for (const auto& p : now_.settings->providers) {
    if (!models_.contains(p.name)) models_[p.name] = std::make_shared<scripted_model>(p);
    models->emplace(p.name, models_[p.name]);
  }
  now_.models = std::move(models);

  auto& system = rig_->system();
  now_.store = rig_->own(system.spawn(actors::store, now_));
  now_.callers = rig_->own(system.spawn(actors::callers, now_));
  now_.relay = rig_->own(system.spawn(actors::relay, now_));
  now_.directory = rig_->own(system.spawn(actors::directory, [this] { return now_; }));
  now_.agents = start_nursery("agents", [this](caf::local_actor* p, const std::string& name, bool crashed) {
    return caf::actor_cast<strong_actor_ptr>(
        p->spawn(actors::agent, now_, actors::agent_name_of(name).value(), crashed));
  });
  now_.users = start_nursery("users", [this](caf::local_actor* p, const std::string& name, bool) {
    return caf::actor_cast<strong_actor_ptr>(p->spawn(actors::user, now_, uuid::parse(name).value()));
  });
  now_.rooms = start_nursery("rooms", [this](caf::local_actor* p, const std::string& name, bool) {
    return caf::actor_cast<strong_actor_ptr>(p->spawn(actors::room, now_, uuid::parse(name).value()));
  });
  now_.sessions = start_nursery("sessions", [this](caf::local_actor* p, const std::string& name, bool) {
    return caf::actor_cast<strong_actor_ptr>(p->spawn(actors::session, now_, uuid::parse(name).value()));
  });
  rig_->own(system.spawn(actors::scheduler, now_));
  api_ = rig_->own(system.spawn(actors::api_service, now_));
  settle();
}

// --- people and places -------------------------------------------------------------------------------------

void world::commit(const uuid& owner, std::vector<storage::part> parts) {
  storage::outcome how{storage::failure::unavailable, "not taken", {}};
  rig_->db().submit({now_.under(owner), std::move(parts)}, [&](storage::outcome o) { how = std::move(o); });
  settle();
  if (!how) throw std::runtime_error{"world: " + how.detail};
}

uuid world::add_user(const std::string& name) {
  storage::account_row row;
  row.id = uuid::v7(rig_->time().unix_ms());
  row.login = row.username = row.display_name = name;
  row.password_hash = "none";
  row.role = "user";
  const auto id = row.id;
  std::vector<storage::part> parts;
  parts.emplace_back(storage::create_account{std::move(row), false});
  commit(id, std::move(parts));
  return id;
}

uuid world::add_room(const std::vector<std::string>& agents) {
  const auto now = rig_->time().unix_ms();
  const auto id = uuid::v7(now);
  std::vector<storage::part> parts;
  parts.emplace_back(storage::create_room{{id, "", agents, ana, now, 0, 1, now}});
  parts.emplace_back(storage::add_member{{id, ana, "owner", now, 0}});
  commit(id, std::move(parts));
  return id;
}

void world::add_member(const uuid& room, const uuid& user) {
  std::vector<storage::part> parts;
  parts.emplace_back(storage::add_member{{room, user, "member", rig_->time().unix_ms(), 0}});
  commit(room, std::move(parts));
}

device& world::connect(const uuid& user, std::optional<uuid> session, std::optional<uuid> family) {
  const auto number = next_connection_++;
  devices.push_back(std::make_unique<device>(number, "device " + std::to_string(number)));
  auto& d = *devices.back();
  actors::connection_ptr socket{std::shared_ptr<void>{}, &d}; // the world keeps it
  caf::anon_send(api_, std::move(socket),
                 actors::identity{user, family.value_or(user), "name", "Name", "user"},
                 actors::hello_in{session, "test"});
  settle();
  return d;
}

device& world::watch(const uuid& room) {
  auto& d = connect();
  d.open(room, 0);
  settle();
  return d;
}

// --- faults ------------------------------------------------------------------------------------------------

void world::crash_at(const std::string& place, std::size_t nth) {
  probe = [this, place, left = nth](std::string_view here) mutable {
    if (here != place || left == 0 || --left > 0) return;
    ++crashes;
    throw std::runtime_error{"crash put in at " + place};
  };
}

void world::crash_always(const std::string& place) {
  probe = [this, place](std::string_view here) {
    if (here != place) return;
    ++crashes;
    throw std::runtime_error{"crash put in at " + place};
  };
}

// --- looking -----------------------------------------------------------------------------------------------

std::vector<storage::event_row> world::events(const uuid& room) {
  return rig_->read([&](storage::reader& from) { return from.events_after(room, 0, 100'000, 1U << 30U); })
      .value();
}

std::vector<storage::event_row> world::ends(const uuid& room) {
  auto all = events(room);
  std::erase_if(all, [](const auto& e) { return !e.kind.starts_with("answer"); });
  return all;
}

std::optional<storage::answer_row> world::answer(const uuid& id) {
  return rig_->read([&](storage::reader& from) { return from.answer(id); }).value();
}

std::vector<storage::mailbox_entry> world::entries(const uuid& room, const std::string& agent) {
  return rig_
      ->read([&](storage::reader& from) { return from.entries(actors::mailbox_of(room, agent), 1000); })
      .value();
}

std::vector<storage::dead_letter> world::dead() {
  return rig_->read([](storage::reader& from) { return from.dead(1000); }).value();
}

bool world::lives(const std::string& nursery, const std::string& child) {
  const auto& of = nursery == "rooms"    ? now_.rooms
                   : nursery == "agents" ? now_.agents
                   : nursery == "users"  ? now_.users
                                         : now_.sessions;
  const auto health = rig_->ask_now<std::vector<actors::child_health>>(of, actors::tree_atom::value);
  for (const auto& c : health.value.value())
    if (c.name == child) return c.running;
  return false;
}

std::vector<std::string> world::violations() const {
  std::vector<std::string> all;
  for (const auto& d : devices)
    all.insert(all.end(), d->violations.begin(), d->violations.end());
  return all;
}

nlohmann::json end_of(world& in, const uuid& room, const uuid& answer) {
  for (const auto& e : in.ends(room)) {
    auto data = nlohmann::json::parse(e.data);
    if (data["answer"] != answer.str()) continue;
    data["kind"] = e.kind;
    data["seq"] = e.seq;
    return data;
  }
  return nullptr;
}

std::vector<uuid> answers_of(const nlohmann::json& ack) {
  std::vector<uuid> out;
  for (const auto& a : ack["answers"])
    out.push_back(uuid::parse(a["answer"].get<std::string>()).value());
  return out;
}

} // namespace maru::test
