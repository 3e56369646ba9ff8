#include "actors/node.hpp"

#include <atomic>
#include <mutex>
#include <random>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include "actors/accounts.hpp"
#include "actors/agent.hpp"
#include "actors/api.hpp"
#include "actors/callers.hpp"
#include "actors/common.hpp"
#include "actors/directory.hpp"
#include "actors/loop_policy.hpp"
#include "actors/nursery.hpp"
#include "actors/observer.hpp"
#include "actors/password_pool.hpp"
#include "actors/relay.hpp"
#include "actors/room.hpp"
#include "actors/scheduler.hpp"
#include "actors/session.hpp"
#include "actors/store.hpp"
#include "actors/supervisor.hpp"
#include "actors/user.hpp"
#include "config/limits.hpp"

namespace maru::actors {
namespace {

// The handles of what runs now. Written where the root starts a child, read where others start theirs
// and where sockets come in.
class board {
public:
  explicit board(services first) : now_(std::make_shared<const services>(std::move(first))) {}
  shared_services get() const {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  template <class Change>
  void change(Change change) {
    const std::lock_guard lock(mutex_);
    services next = *now_;
    change(next);
    now_ = std::make_shared<const services>(std::move(next));
  }

private:
  mutable std::mutex mutex_;
  shared_services now_;
};

double random_fraction() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

constexpr unsigned life_bits = 16; // of the count of restarts below the epoch

} // namespace

struct node::inside {
  explicit inside(node_options o)
      : options(std::move(o)), cfg(*options.on), system(cfg), now(first_services()) {}

  services first_services() {
    services s;
    s.settings = options.settings;
    s.time = options.time;
    s.codec = options.codec;
    s.db = options.db;
    s.models = std::make_shared<const providers>(options.models);
    s.random = random_fraction;
    s.control_token = options.control_token;
    s.counts = options.counts;
    s.loads = std::make_shared<call_loads>();
    for (const auto& p : options.settings->providers)
      s.loads->providers[p.name];
    for (const auto& a : options.settings->agents)
      s.loads->agents[a.name];
    s.epoch = options.db->claim_shards(options.node_name);
    s.life = s.epoch << life_bits;
    return s;
  }

  // A child that is one actor with a handle on the board.
  template <class Handle, class Spawn>
  child_spec one(std::string name, Handle services::* where, Spawn spawn) {
    return {std::move(name), [this, where, spawn](caf::local_actor* parent) {
              const auto handle = caf::actor_cast<Handle>(spawn(parent, now.get()));
              now.change([&](services& s) { s.*where = handle; });
              return caf::actor_cast<caf::strong_actor_ptr>(handle);
            }};
  }

  template <class Start>
  child_spec many(const std::string& name, nursery_actor services::* where, Start start) {
    return one(name, where, [this, name, start](caf::local_actor* parent, const shared_services& svc) {
      nursery_options o;
      o.name = name;
      o.time = svc->time;
      o.random = svc->random;
      o.counts = svc->counts;
      o.how = supervision_of(*svc->settings, name, store_counts());
      o.gave_up = options.gave_up;
      o.start = [this, start](caf::local_actor* of, const std::string& child, bool after_crash) {
        return caf::actor_cast<caf::strong_actor_ptr>(start(of, now.get(), child, after_crash));
      };
      return parent->spawn(nursery, std::move(o));
    });
  }

  [[nodiscard]] std::function<storage::counters()> store_counts() const {
    return [db = options.db] { return db->count(); };
  }

  child_spec accounts_child();
  child_spec agents_child();
  child_spec api_child();
  child_spec observer_child();
  std::vector<child_spec> children();
  void start();

  node_options options;
  loop_config cfg;
  caf::actor_system system;
  board now;
  std::shared_ptr<password_pool> passwords =
      std::make_shared<password_pool>(options.settings->auth.argon2_threads);
  api_actor api;
  observer_actor observer;
  mutable std::mutex api_mutex; // of both
  tree_actor root;
  std::atomic<bool> ready{false};
  std::atomic<std::uint64_t> looks{0}; // of the root at its children
  bool down = false;
};

child_spec node::inside::accounts_child() {
  return one("accounts", &services::accounts, [this](caf::local_actor* p, const shared_services& s) {
    return p->spawn(actors::accounts, s, passwords);
  });
}

child_spec node::inside::api_child() {
  return {"api", [this](caf::local_actor* p) {
            const auto handle = p->spawn(api_service, now.get());
            const std::lock_guard lock(api_mutex);
            api = handle;
            return caf::actor_cast<caf::strong_actor_ptr>(handle);
          }};
}

child_spec node::inside::agents_child() {
  auto out =
      many("agents", &services::agents,
           [](caf::local_actor* p, const shared_services& s, const std::string& name, bool after_crash) {
             auto who = agent_name_of(name);
             if (!who) throw std::invalid_argument("not an agent's name: " + name);
             return p->spawn(agent, s, std::move(*who), after_crash);
           });
  out.start = [this, start = out.start](caf::local_actor* p) {
    now.change([](services& s) { ++s.life; });
    return start(p);
  };
  return out;
}

child_spec node::inside::observer_child() {
  return {"observer", [this](caf::local_actor* p) {
            const std::function<std::size_t()> passwords_waiting = [pool = passwords] {
              return pool->waiting();
            };
            const observer_actor handle = p->spawn(actors::observer, now.get(), passwords_waiting);
            const std::lock_guard lock(api_mutex);
            observer = handle;
            return caf::actor_cast<caf::strong_actor_ptr>(handle);
          }};
}

// In the order in which they need each other: when one falls, those after it start anew.
std::vector<child_spec> node::inside::children() {
  const bool whole = !options.without_agents;
  std::vector<child_spec> all;
  all.push_back(one("store", &services::store, [](caf::local_actor* p, const shared_services& s) {
    return p->spawn(actors::store, s);
  }));
  if (whole)
    all.push_back(one("callers", &services::callers, [](caf::local_actor* p, const shared_services& s) {
      return p->spawn(actors::callers, s);
    }));
  all.push_back(one("relay", &services::relay, [](caf::local_actor* p, const shared_services& s) {
    return p->spawn(actors::relay, s);
  }));
  all.push_back(one("directory", &services::directory, [this](caf::local_actor* p, const shared_services&) {
    return p->spawn(actors::directory, [this] { return now.get(); });
  }));
  if (whole) {
    all.push_back(agents_child());
    all.push_back(many("users", &services::users,
                       [](caf::local_actor* p, const shared_services& s, const std::string& name, bool) {
                         return p->spawn(user, s, uuid::parse(name).value());
                       }));
  }
  all.push_back(many("rooms", &services::rooms,
                     [](caf::local_actor* p, const shared_services& s, const std::string& name,
                        bool crashed) { return p->spawn(room, s, uuid::parse(name).value(), crashed); }));
  // Sessions rest on it: what it told nobody when it fell, they ask for again.
  all.push_back(accounts_child());
  if (whole) {
    all.push_back(many("sessions", &services::sessions,
                       [](caf::local_actor* p, const shared_services& s, const std::string& name, bool) {
                         return p->spawn(session, s, uuid::parse(name).value());
                       }));
    all.push_back({"scheduler", [this](caf::local_actor* p) {
                     return caf::actor_cast<caf::strong_actor_ptr>(p->spawn(scheduler, now.get()));
                   }});
  }
  all.push_back(api_child());
  if (whole) all.push_back(observer_child());
  return all;
}

void node::inside::start() {
  supervisor_options o;
  o.children = children();
  o.time = options.time;
  o.random = random_fraction;
  o.how = supervision_of(*options.settings, "", store_counts());
  o.gave_up = options.gave_up;
  o.counts = options.counts;
  o.looked = [this] { ++looks; };
  o.before_start = [this](const tree_actor& r) { now.change([&](services& s) { s.root = r; }); };
  root = system.spawn(supervisor, std::move(o));
  // Answered once all children stand.
  caf::scoped_actor wait{system};
  wait->request(root, caf::infinite, tree_atom::value)
      .receive([](const root_health&) {}, [](const caf::error&) {});
  ready = true;
}

node::node(node_options options) : inside_(std::make_unique<inside>(std::move(options))) { inside_->start(); }

node::~node() { shut_down(); }

namespace {

// Whatever becomes of the actors that carry it, who called is told once: at the last `otherwise`.
template <class What>
std::function<void(What)> told_once(std::function<void(What)> tell, What otherwise) {
  struct last_word {
    last_word(std::function<void(What)> tell, What otherwise)
        : tell(std::move(tell)), otherwise(std::move(otherwise)) {}
    last_word(const last_word&) = delete;
    last_word& operator=(const last_word&) = delete;
    ~last_word() {
      if (tell) tell(std::move(otherwise));
    }
    std::function<void(What)> tell;
    What otherwise;
  };
  return [held = std::make_shared<last_word>(std::move(tell), std::move(otherwise))](What what) {
    if (const auto tell = std::exchange(held->tell, nullptr)) tell(std::move(what));
  };
}

} // namespace

void node::call(std::string access_token, api::request what, api::replied tell) {
  tell = told_once<api::reply>(
      std::move(tell), refusal{code::overloaded, "this was interrupted; try again", limits::retry_after_ms});
  const std::lock_guard lock(inside_->api_mutex);
  if (!inside_->ready)
    return tell(refusal{code::overloaded, "the server is starting or going down", limits::retry_after_ms});
  caf::anon_send(inside_->api, std::move(access_token), std::move(what), std::move(tell));
}

void node::hello(connection_ptr from, identity who, hello_in hello) {
  const std::lock_guard lock(inside_->api_mutex);
  caf::anon_send(inside_->api, std::move(from), std::move(who), std::move(hello));
}

void node::observe(observed tell) {
  tell = told_once<std::vector<reading>>(std::move(tell), {});
  const std::lock_guard lock(inside_->api_mutex);
  if (inside_->ready) caf::anon_send(inside_->observer, std::move(tell));
}

bool node::ready() const { return inside_->ready; }

std::uint64_t node::looks() const { return inside_->looks; }

bool node::degraded() const { return inside_->options.db->count().writes_fail; }

void node::shut_down() {
  if (std::exchange(inside_->down, true)) return;
  inside_->ready = false;
  caf::anon_send_exit(inside_->root, caf::exit_reason::user_shutdown);
  caf::scoped_actor wait{inside_->system};
  wait->wait_for(inside_->root);
  inside_->root = nullptr;
  {
    const std::lock_guard lock(inside_->api_mutex);
    inside_->api = nullptr;
    inside_->observer = nullptr;
  }
  inside_->now.change([](services& s) {
    s.root = nullptr;
    s.store = nullptr;
    s.callers = nullptr;
    s.relay = nullptr;
    s.rooms = s.agents = s.users = s.sessions = nullptr;
    s.directory = nullptr;
    s.accounts = nullptr;
  });
}

} // namespace maru::actors
