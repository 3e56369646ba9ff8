#include "tests/support/world.hpp"

#include <stdexcept>

#include <caf/typed_event_based_actor.hpp>

#include "actors/agent.hpp"
#include "actors/api.hpp"
#include "actors/callers.hpp"
#include "actors/common.hpp"
#include "actors/directory.hpp"
#include "actors/nursery.hpp"
#include "actors/observer.hpp"
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

actors::accounts_actor::behavior_type nobody_revoked(actors::accounts_actor::pointer self, int) {
  actors::end_on_exception(self, "accounts");
  return {
      [](const std::string&, const actors::api::request&) {
        return actors::api::reply{actors::api::nothing{}};
      },
      [](const actors::person&, const actors::api::request&) {
        return actors::api::reply{actors::api::nothing{}};
      },
      // A token is its person's id.
      [](const std::string& token) -> actors::api::reply {
        const auto user = uuid::parse(token);
        if (!user) return refusal{code::unauthenticated, "no such token"};
        return actors::identity{*user, *user, "name", "Name", "user"};
      },
      [](const uuid&) { return actors::api::reply{actors::api::nothing{}}; },
  };
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
    a.model = name;
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
  fall();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

// What the old process still does is lost, and so is what it told.
void world::fall() {
  if (!rig_) return;
  store_->die();
  // One that fell as it started leaves what it was to go on with.
  if (!left_)
    left_ = {rig_->time().unix_ms(), std::exchange(probe, nullptr), std::exchange(store_fault, nullptr),
             std::exchange(rig_->pick, nullptr), gave_up};
  for (auto& d : devices)
    d->lose();
  api_ = nullptr;
  observer_ = nullptr;
  scheduler_ = nullptr;
  root_children_.clear();
  started.clear();
  now_ = {};
  rig_.reset();
  gave_up = left_->gave_up; // to be killed is not to give up
  store_ = nullptr;         // the file is locked as long as it is open
  for (auto& [name, m] : models_)
    for (auto& c : m->calls)
      c->open = false;
}

void world::rise() {
  start();
  rig_->pick = std::move(left_->pick);
  store_fault = std::move(left_->store_fault);
  probe = std::move(left_->probe);
  left_.reset();
}

void world::restart() {
  fall();
  rise();
  settle();
}

void world::restart_in_order() {
  stop_in_order();
  restart();
}

void world::stop_in_order() {
  for (auto& d : devices)
    d->close(close_code::draining);
  settle();
  const auto root = now_.root;
  now_.root = nullptr;
  rig_->end(root, caf::exit_reason::user_shutdown);
}

template <class Handle, class Spawn>
void world::add_child(std::vector<actors::child_spec>& to, std::string name, Handle& where, Spawn spawn) {
  to.push_back({name, [this, name, &where, spawn](caf::local_actor* parent) -> caf::strong_actor_ptr {
                  if (!now_.settings) return nullptr; // this process has been killed
                  where = caf::actor_cast<Handle>(spawn(parent));
                  root_children_[name] = caf::actor_cast<caf::actor_addr>(where);
                  return caf::actor_cast<caf::strong_actor_ptr>(where);
                }});
}

template <class Start>
void world::add_nursery(std::vector<actors::child_spec>& to, const std::string& name,
                        actors::nursery_actor actors::services::* where, Start start) {
  add_child(to, name, now_.*where, [this, name, start](caf::local_actor* parent) {
    actors::nursery_options o;
    o.name = name;
    o.time = now_.time;
    o.random = now_.random;
    o.counts = now_.counts;
    o.how = actors::supervision_of(*now_.settings, name, [db = store_] { return db->count(); });
    o.gave_up = [this](std::string why) { gave_up = std::move(why); };
    o.start = [this, start](caf::local_actor* of, const std::string& child,
                            bool after_crash) -> caf::strong_actor_ptr {
      if (!now_.settings) return nullptr;
      auto made = caf::actor_cast<caf::strong_actor_ptr>(start(of, child, after_crash));
      started.push_back(caf::actor_cast<caf::actor_addr>(made));
      return made;
    };
    return parent->spawn(actors::nursery, std::move(o));
  });
}

// As in actors/node.cpp.
std::vector<actors::child_spec> world::children() {
  using parent = caf::local_actor*;
  using text = const std::string&;
  std::vector<actors::child_spec> all;
  add_child(all, "store", now_.store, [this](parent p) { return p->spawn(actors::store, shared()); });
  add_child(all, "callers", now_.callers, [this](parent p) { return p->spawn(actors::callers, shared()); });
  add_child(all, "relay", now_.relay, [this](parent p) { return p->spawn(actors::relay, shared()); });
  add_child(all, "directory", now_.directory,
            [this](parent p) { return p->spawn(actors::directory, [this] { return shared(); }); });
  add_nursery(all, "agents", &actors::services::agents, [this](parent p, text name, bool crashed) {
    return p->spawn(actors::agent, shared(), actors::agent_name_of(name).value(), crashed);
  });
  all.back().start = [this, start = all.back().start](parent p) {
    ++now_.life;
    return start(p);
  };
  add_nursery(all, "users", &actors::services::users, [this](parent p, text name, bool) {
    return p->spawn(actors::user, shared(), uuid::parse(name).value());
  });
  add_nursery(all, "rooms", &actors::services::rooms, [this](parent p, text name, bool crashed) {
    return p->spawn(actors::room, shared(), uuid::parse(name).value(), crashed);
  });
  add_child(all, "accounts", now_.accounts, [](parent p) { return p->spawn(nobody_revoked, 0); });
  add_nursery(all, "sessions", &actors::services::sessions, [this](parent p, text name, bool) {
    return p->spawn(actors::session, shared(), uuid::parse(name).value());
  });
  add_child(all, "scheduler", scheduler_, [this](parent p) { return p->spawn(actors::scheduler, shared()); });
  add_child(all, "api", api_, [this](parent p) { return p->spawn(actors::api_service, shared()); });
  add_child(all, "observer", observer_, [this](parent p) {
    const std::function<std::size_t()> none = [] { return std::size_t{0}; };
    return p->spawn(actors::observer, shared(), none);
  });
  return all;
}

void world::start() {
  rig_ = std::make_unique<actor_rig>(folder_);
  if (left_) rig_->time().advance(left_->unix_ms - rig_->time().unix_ms());
  if (new_process) new_process(*rig_);
  rig_->settings = settings_of_world();
  if (change_) change_(rig_->settings);
  rig_->fault = [this](std::string_view operation) {
    return store_fault ? store_fault(operation) : storage::failure::none;
  };
  store_ = std::make_shared<gated_store>(rig_->shared_db());
  now_ = rig_->make_services();
  now_.db = store_;
  now_.control_token = "the operator's";
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
  now_.counts = counts;
  auto models = std::make_shared<actors::providers>();
  for (const auto& p : now_.settings->providers) {
    if (!models_.contains(p.name)) models_[p.name] = std::make_shared<scripted_model>(p);
    models->emplace(p.name, models_[p.name]);
  }
  now_.models = std::move(models);

  actors::supervisor_options o;
  o.children = children();
  o.time = now_.time;
  o.random = now_.random;
  o.how = actors::supervision_of(*now_.settings, "", [db = store_] { return db->count(); });
  o.gave_up = [this](std::string why) { gave_up = std::move(why); };
  o.counts = now_.counts;
  now_.root =
      rig_->own(caf::actor_cast<actors::tree_actor>(rig_->system().spawn(actors::supervisor, std::move(o))));
  rig_->settle();
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

void world::remove_member(const uuid& room, const uuid& user) {
  std::vector<storage::part> parts;
  parts.emplace_back(storage::remove_member{room, user});
  commit(room, std::move(parts));
}

device& world::connect(const uuid& user, std::optional<uuid> session, std::optional<uuid> family) {
  auto& d = dial(user, session, family);
  settle();
  return d;
}

device& world::dial(const uuid& user, std::optional<uuid> session, std::optional<uuid> family) {
  const auto number = next_connection_++;
  devices.push_back(std::make_unique<device>(number, "device " + std::to_string(number)));
  auto& d = *devices.back();
  if (new_device) new_device(d);
  actors::connection_ptr socket{std::shared_ptr<void>{}, &d}; // the world keeps it
  caf::anon_send(api_, std::move(socket),
                 actors::identity{user, family.value_or(user), "name", "Name", "user"},
                 actors::hello_in{session, "test"});
  return d;
}

actors::api::reply world::call(const uuid& user, actors::api::request what) {
  return call_as(user.str(), std::move(what));
}

actors::api::reply world::operate(actors::api::request what) {
  return call_as(now_.control_token, std::move(what));
}

actors::api::reply world::call_as(std::string token, actors::api::request what) {
  std::optional<actors::api::reply> out;
  caf::anon_send(api_, std::move(token), std::move(what),
                 actors::api::replied{[&](actors::api::reply how) { out = std::move(how); }});
  settle();
  return std::move(out).value();
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

void world::end_child(const std::string& name) {
  rig_->end(caf::actor_cast<caf::strong_actor_ptr>(root_children_.at(name)), caf::exit_reason::kill);
}

void world::crash_always(const std::string& place) {
  probe = [this, place](std::string_view here) {
    if (here != place) return;
    ++crashes;
    throw std::runtime_error{"crash put in at " + place};
  };
}

// --- looking -----------------------------------------------------------------------------------------------

// A test's own look is not part of what it looks at.
template <class Fetch>
auto world::look(Fetch fetch) {
  settle();
  auto fault = std::exchange(store_fault, nullptr);
  auto found = rig_->read(std::move(fetch));
  store_fault = std::move(fault);
  return std::move(found).value();
}

std::vector<storage::event_row> world::events(const uuid& room) {
  return look([&](storage::reader& from) { return from.events_after(room, 0, 100'000, 1U << 30U); });
}

std::vector<storage::event_row> world::ends(const uuid& room) {
  auto all = events(room);
  std::erase_if(all, [](const auto& e) { return !e.kind.starts_with("answer"); });
  return all;
}

std::optional<storage::answer_row> world::answer(const uuid& id) {
  return look([&](storage::reader& from) { return from.answer(id); });
}

std::vector<storage::mailbox_entry> world::entries(const uuid& room, const std::string& agent) {
  return look([&](storage::reader& from) { return from.entries(actors::mailbox_of(room, agent), 1000); });
}

std::vector<storage::mailbox_entry> world::entries(const uuid& room) {
  return look([&](storage::reader& from) { return from.entries(actors::mailbox_of(room), 1000); });
}

std::vector<storage::dead_letter> world::dead() {
  return look([](storage::reader& from) { return from.dead({}, {}, 1000); });
}

std::uint32_t world::restarts(const std::string& child) {
  const auto health = rig_->ask_now<actors::root_health>(now_.root, actors::tree_atom::value);
  for (const auto& c : health.value.value().children)
    if (c.name == child) return c.restarts;
  return 0;
}

bool world::lives(const std::string& nursery, const std::string& child) {
  const auto& of = nursery == "rooms"    ? now_.rooms
                   : nursery == "agents" ? now_.agents
                   : nursery == "users"  ? now_.users
                                         : now_.sessions;
  const auto health = rig_->ask_now<actors::nursery_health>(of, actors::tree_atom::value);
  for (const auto& c : health.value.value().children)
    if (c.name == child) return c.state == actors::child_state::running;
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
