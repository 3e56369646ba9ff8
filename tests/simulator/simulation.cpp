#include "tests/simulator/run.hpp"

#include <algorithm>
#include <fstream>

#include "config/limits.hpp"
#include "storage/sqlite_schema.hpp"
#include "tests/simulator/mutations.hpp"

namespace maru::test {

// Each step has random numbers of its own: leaving one out does not change the others'.
void simulation::seed(std::uint64_t stream) {
  std::seed_seq from{static_cast<std::uint32_t>(plan_.seed), static_cast<std::uint32_t>(plan_.seed >> 32U),
                     static_cast<std::uint32_t>(stream)};
  random_.seed(from);
}

simulated_disk& simulation::fresh_disk() {
  seed(0);
  auto& disk = simulated_disk::instance();
  disk.begin([this](std::size_t n) { return below(n); });
  disk.forget_syncs(mutated::syncs_are_skipped());
  return disk;
}

simulation::simulation(const plan& what) : plan_(what), disk_(fresh_disk()) {
  told_.note = [this](const std::string& line) { note(line); };
  w_.new_process = [this](actor_rig& rig) { adopt(rig); };
  w_.new_device = [this](device& d) { adopt(d); };
  adopt(w_.rig());
}

simulation::~simulation() {
  going_down_ = true;
  told_.process_ends();
}

void simulation::note(const std::string& line) {
  for (const auto c : line)
    out_.trace = (out_.trace ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  if (plan_.trace) plan_.trace(line);
}

// --- processes ---------------------------------------------------------------------------------------------

// A process that has ended does nothing more: neither does it tell anybody, nor does anything of it run.
void simulation::adopt(actor_rig& rig) {
  // The product looks at the file itself, too: whether there is one, and whether it is empty.
  std::ofstream(w_.database()) << "on the simulated disk";
  fatal_ = false;
  rig.on_fatal = [this](const std::string& why) {
    fatal_ = true;
    note("the store ends the process: " + why);
    if (quiet_ && !going_down_) told_.wrong.push_back("the store ends the process for nothing: " + why);
  };
  rig.also_pump([this]() -> std::size_t {
    if (!going_down_ && (disk_.dead() || fatal_)) throw process_ended{};
    return 0;
  });
}

void simulation::adopt(device& d) {
  if (!quiet_) d.be_distant(*w_.services().codec);
  d.told = [this](const device& to, const actors::frame& what) {
    if (!going_down_ && !disk_.dead()) told_.hear(to, what);
  };
}

void simulation::begin_anew(ending how) {
  const auto held = w_.store().held_steps();
  begin_in_the_end(how);
  old_steps_come_late(held);
}

// Opening may fail as everything else does; then the service manager tries again.
void simulation::begin_in_the_end(ending how) {
  w_.mend();
  w_.store_fault = nullptr;
  stalled_.clear();
  for (std::size_t tries = 0; !begins(how); how = any_ending()) {
    if (++tries < 3) continue;
    disk_.mend();
    quiet_opening_ = true;
    if (tries > 4) throw std::runtime_error{"the database cannot be opened"};
  }
  quiet_opening_ = false;
  told_.process_began();
  w_.rig().pick = [this](std::size_t waiting) { return below(waiting); };
}

bool simulation::begins(ending how) {
  told_.process_ends();
  going_down_ = true;
  if (how != ending::in_order) disk_.die(); // what closes the files now does not happen
  w_.fall();
  mutated::process_ends();
  going_down_ = false;
  note(how == ending::power_cut ? "power is cut" : "the process is gone");
  met(how == ending::power_cut ? "power cut" : "process killed");
  if (how == ending::power_cut)
    disk_.cut_power();
  else
    disk_.revive();
  if (!quiet_ && !quiet_opening_ && chance(30)) disk_.die_after(below(60) + 1);
  try {
    w_.rise();
    return true;
  } catch (const process_ended&) {
    met("ended while starting");
  } catch (const storage::open_error&) {
    note("cannot open");
    met("ended while opening");
  }
  return false;
}

// What the last process has written may reach the disk after the next one has begun: under an older epoch.
void simulation::old_steps_come_late(const std::vector<storage::step>& held) {
  for (const auto& s : held)
    w_.rig().db().submit(s, [this](const storage::outcome& how) {
      using storage::failure;
      if (going_down_ || disk_.dead()) return;
      met("step of an ended process");
      if (how || how.why == failure::conflict || how.why == failure::duplicate)
        told_.wrong.emplace_back("a step of a process that has ended was taken");
    });
}

// --- the run -----------------------------------------------------------------------------------------------

verdict simulation::go() {
  try {
    set_up();
    for (std::size_t i = 0; i < std::min(steps_wanted_, plan_.steps) && !broken(); ++i) {
      if (!plan_.without.contains(i)) step(i);
      out_.steps = i + 1;
    }
    if (!broken()) come_to_an_end();
  } catch (const process_ended&) {
    told_.wrong.emplace_back("the process ended where nothing was to fail");
  } catch (const std::exception& e) {
    told_.wrong.push_back(std::string{"threw: "} + e.what());
  }
  collect();
  going_down_ = true;
  return std::move(out_);
}

bool simulation::broken() const {
  return !told_.wrong.empty() || w_.gave_up ||
         std::any_of(w_.devices.begin(), w_.devices.end(),
                     [](const auto& d) { return !d->violations.empty(); }) ||
         std::any_of(clients_.begin(), clients_.end(), [](const auto* c) { return !c->violations.empty(); });
}

void simulation::collect() {
  auto& wrong = out_.wrong;
  const auto add = [&](const std::vector<std::string>& more) {
    for (const auto& line : more)
      if (std::find(wrong.begin(), wrong.end(), line) == wrong.end()) wrong.push_back(line);
  };
  add(told_.wrong);
  add(w_.violations());
  for (const auto* c : clients_)
    add(c->violations);
  if (w_.gave_up) wrong.push_back("the root gave up: " + *w_.gave_up);
}

void simulation::set_up() {
  if (chance(10)) old_database();
  auto bo = w_.add_user("bo");
  auto cy = w_.add_user("cy");
  rooms_ = {w_.add_room({"maru"}), w_.add_room({"keeper", "second"}), w_.add_room({"keeper"})};
  for (const auto& room : {rooms_[0], rooms_[1]})
    w_.add_member(room, bo);
  w_.add_member(rooms_[1], cy);
  const std::vector<std::pair<uuid, std::vector<uuid>>> devices{
      {w_.ana, rooms_}, {w_.ana, {rooms_[0], rooms_[1]}}, {bo, {rooms_[0], rooms_[1]}}, {cy, {rooms_[1]}}};
  const auto some = below(devices.size()) + 1;
  for (std::size_t i = 0; i < some; ++i) {
    people_.push_back(std::make_unique<faithful_client>(w_, devices[i].first));
    clients_.push_back(people_.back().get());
    for (const auto& room : devices[i].second)
      clients_.back()->open(room);
  }
  steps_wanted_ = below(80) + 20;
  w_.rig().pick = [this](std::size_t waiting) { return below(waiting); };
}

// As an older version left it: the next start brings it forward.
void simulation::old_database() {
  const auto file = w_.database().string();
  const auto to = below(storage::sqlite::migrations().size());
  going_down_ = true;
  w_.fall();
  going_down_ = false;
  disk_.put(file, "");
  {
    storage::sqlite::connection db(file, storage::sqlite::connection::mode::write);
    storage::sqlite::migrate(db, storage::sqlite::migrations().subspan(0, to));
    if (to > 0) db.use_log();
  }
  disk_.die_after(below(80) + 1);
  note("begins with schema " + std::to_string(to));
  met("older schema");
  try {
    w_.rise();
    disk_.die_after(0);
  } catch (const process_ended&) {
    begin_in_the_end(any_ending());
  } catch (const storage::open_error&) {
    begin_in_the_end(any_ending());
  }
  disk_.die_after(0);
  w_.ana = w_.add_user("ana");
}

void simulation::step(std::size_t number) {
  seed(number + 1);
  note("step " + std::to_string(number) + " at " + std::to_string(w_.rig().time().steady_ms() - 1'000'000) +
       " ms");
  try {
    act();
    some_work();
    network();
  } catch (const process_ended&) {
    met(fatal_ ? "ended by the store" : "ended within a write");
    begin_anew(any_ending());
  }
  if (fatal_ || disk_.dead()) begin_anew(any_ending());
}

void simulation::some_work() {
  if (chance(40)) {
    w_.settle();
  } else {
    for (auto left = below(40); left > 0 && w_.rig().run_one(); --left) {
    }
    if (chance(50)) storage::pump(w_.rig().db());
    if (fatal_ || disk_.dead()) throw process_ended{};
  }
  for (auto* c : clients_)
    if (chance(60)) c->tend();
}

// Some bytes each way, on some of the connections.
void simulation::network() {
  for (const auto& d : w_.devices) {
    if (d->closed || stalled_.contains(d.get())) continue;
    for (auto left = below(6); left > 0 && d->depart(); --left) {
    }
    if (chance(30)) continue;
    const bool all = chance(60);
    for (auto left = all ? 20 : below(3);
         left > 0 && d->arrive(all ? limits::outbox_bytes : below(600) + 1) > 0; --left) {
    }
    if (d->closed == close_code::slow_reader) met("slow reader cut off");
  }
}

// --- the end -----------------------------------------------------------------------------------------------

void simulation::let_schedules_come() {
  const auto waits = [&](const uuid& room) { return !w_.entries(room).empty(); };
  for (int i = 0; i < 60 && std::any_of(rooms_.begin(), rooms_.end(), waits); ++i)
    w_.advance(5'000);
}

// What was taken is sent once, unless it was dropped.
void simulation::check_scheduled() {
  std::map<std::string, std::size_t> sent;
  for (const auto& room : rooms_)
    for (const auto& e : w_.events(room)) {
      const auto data = nlohmann::json::parse(e.data);
      if (data.contains("scheduled")) ++sent[data["scheduled"]["schedule"].get<std::string>()];
    }
  for (const auto& [schedule, count] : sent)
    if (count != 1) told_.wrong.push_back("scheduled " + schedule + " came to several ends");
  for (const auto& s : scheduled_)
    if (s->made && (sent.contains(s->made->str()) ? s->dropped : !s->drop_asked))
      told_.wrong.push_back("scheduled " + s->made->str() +
                            (s->dropped ? " was dropped and sent" : " was lost"));
}

bool simulation::rest() {
  for (const auto& d : w_.devices)
    if (!d->closed) d->be_near();
  come_to_rest(w_, rooms_, clients_); // what is asked for has come to the store
  let_schedules_come();
  if (!come_to_rest(w_, rooms_, clients_)) told_.wrong.emplace_back("does not come to rest");
  for (const auto& wrong : broken_promises(w_, rooms_, clients_))
    told_.wrong.push_back(wrong);
  check_scheduled();
  return !broken();
}

void simulation::come_to_an_end() {
  seed(1ULL << 31U);
  note("calm");
  quiet_ = true;
  stalled_.clear();
  w_.mend();
  w_.store_fault = nullptr;
  disk_.mend();
  disk_.die_after(0);
  w_.store().open();
  w_.store().open_reads();
  try {
    if (!rest()) return;
  } catch (const process_ended&) {
    begin_anew(ending::kill);
    if (!rest()) return;
  }
  // The same after a power cut, and nobody stays behind.
  begin_anew(ending::power_cut);
  if (rest()) leave_nothing();
}

void simulation::leave_nothing() {
  for (const auto& d : w_.devices)
    d->lose();
  w_.advance(2LL * limits::user_idle_ms + limits::session_linger_ms);
  for (const auto& who : w_.started)
    if (caf::actor_cast<caf::strong_actor_ptr>(who) != nullptr)
      told_.wrong.emplace_back("an actor that nobody needs lives on");
}

verdict simulate(const plan& what) { return simulation(what).go(); }

} // namespace maru::test
