#pragma once

// What is to be posted later: as the body of an entry in a room's mailbox, and when its turns are. Times look
// into the database of time zones: for threads that may wait for a disk, not for an actor's.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/messages.hpp"
#include "base/result.hpp"

namespace maru::actors {

struct scheduled {
  std::string text;
  bool ask_room = true; // the room's agents at that time; otherwise `agents`
  std::vector<std::string> agents;
  std::string cron, zone; // "": once
  std::int64_t due = 0;   // the turn that is next; it may be taken late
};

// The turn of a scheduled message.
struct turn {
  uuid schedule;
  std::int64_t due = 0;             // what it was for
  std::int64_t visible_at = 0;      // of the entry as it was read
  std::optional<std::int64_t> next; // nothing: this was the last
  std::string body;                 // of the entry then
};

std::string to_json(const scheduled& what);
// Nothing where it is no such body.
std::optional<scheduled> scheduled_of(const std::string& body);

// Its first turn, or why it may not be scheduled: it never happens, too often, too far away, or is over.
result<std::int64_t> first_turn(const schedule_message& what, std::int64_t now);

// The turn after one that is taken now: those that were missed meanwhile are not made up for.
std::optional<std::int64_t> next_turn(const scheduled& what, std::int64_t now);

} // namespace maru::actors
