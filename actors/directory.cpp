#include "actors/directory.hpp"

#include <caf/abstract_actor.hpp>

#include "actors/common.hpp"
#include "config/limits.hpp"

namespace maru::actors {

namespace {

bool has_ended(const caf::strong_actor_ptr& handle) {
  return caf::actor_cast<caf::abstract_actor*>(handle)->getf(caf::abstract_actor::is_terminated_flag);
}

} // namespace

directory_state::~directory_state() {
  for (auto* on : {&rooms, &agents, &users, &sessions})
    for (auto& [_, askers] : on->asked)
      for (auto& tell : askers)
        tell(nullptr, caf::make_error(caf::sec::request_receiver_down));
}

template <class Handle>
caf::typed_response_promise<Handle> directory_state::promise_of(shelf& on, const std::string& child) {
  auto asked = self->make_response_promise<Handle>();
  find(on, child, [asked](const caf::strong_actor_ptr& handle, const caf::error& why) mutable {
    if (handle)
      asked.deliver(caf::actor_cast<Handle>(handle));
    else
      asked.deliver(why);
  });
  return asked;
}

// Whoever cannot be had now is told by the next sweep.
template <class Handle>
void directory_state::tell_due(shelf& on, const std::string& child) {
  find(on, child, [this](const caf::strong_actor_ptr& handle, const caf::error&) {
    if (handle) self->send(caf::actor_cast<Handle>(handle), due_atom::value);
  });
}

void directory_state::find(shelf& on, const std::string& child, asker tell) {
  if (const auto it = on.living.find(child); it != on.living.end()) {
    if (!has_ended(it->second)) return tell(it->second, {});
    went_down(caf::actor_cast<caf::actor_addr>(it->second)); // its down message is on the way
  }
  // A nursery that fell has been started anew since.
  const auto nursery = (*board()).*on.nursery;
  if (!nursery) return tell(nullptr, caf::make_error(caf::sec::runtime_error, "nobody starts " + child));
  if (waiting >= limits::directory_asks_waiting)
    return tell(nullptr, caf::make_error(caf::sec::runtime_error, "too many asks wait"));
  ++waiting;
  auto& askers = on.asked[child];
  askers.push_back(std::move(tell));
  if (askers.size() > 1) return;
  // No bound: a nursery that falls bounces the ask, and one that lives answers each.
  self->request(nursery, caf::infinite, child)
      .then([this, &on, child](const caf::strong_actor_ptr& handle) { found(on, child, handle, {}); },
            [this, &on, child](const caf::error& why) { found(on, child, nullptr, why); });
}

void directory_state::found(shelf& on, const std::string& child, const caf::strong_actor_ptr& handle,
                            const caf::error& why) {
  if (handle && !has_ended(handle)) {
    if (const auto before = on.living.find(child); before != on.living.end())
      went_down(caf::actor_cast<caf::actor_addr>(before->second)); // its down message is on the way
    const auto at = on.living.insert_or_assign(child, handle).first;
    places[caf::actor_cast<caf::actor_addr>(handle)] = {&on, &at->first};
    self->monitor(handle);
  }
  auto askers = std::move(on.asked[child]);
  on.asked.erase(child);
  waiting -= askers.size();
  for (auto& tell : askers)
    tell(handle, why);
}

void directory_state::went_down(const caf::actor_addr& who) {
  const auto it = places.find(who);
  if (it == places.end()) return;
  auto& living = it->second.on->living;
  living.erase(living.find(*it->second.name));
  places.erase(it);
}

directory_actor::behavior_type directory(directory_actor::stateful_pointer<directory_state> self,
                                         std::function<shared_services()> board) {
  end_on_exception(self, "directory");
  self->state.board = std::move(board);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.went_down(down.source); });
  return {
      [self](room_atom, const uuid& id) {
        return self->state.promise_of<room_actor>(self->state.rooms, id.str());
      },
      [self](user_atom, const uuid& id) {
        return self->state.promise_of<user_actor>(self->state.users, id.str());
      },
      [self](session_atom, const uuid& id) {
        return self->state.promise_of<session_actor>(self->state.sessions, id.str());
      },
      [self](const agent_name& of) {
        return self->state.promise_of<agent_actor>(self->state.agents, child_name(of));
      },
      [self](due_atom, const agent_name& of) {
        self->state.tell_due<agent_actor>(self->state.agents, child_name(of));
      },
      [self](due_atom, const uuid& room) { self->state.tell_due<room_actor>(self->state.rooms, room.str()); },
  };
}

} // namespace maru::actors
