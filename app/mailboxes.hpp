#pragma once

#include <string>

#include "config/settings.hpp"

namespace maru::app {

// What `maru mailbox` is told to do.
struct mailbox_order {
  std::string what;            // a mailbox, or the id of a dead letter: a UUID
  std::string mailbox, reason; // which dead letters; "" any
  bool all = false;
  bool waiting = false; // purge: not a dead letter, but a scheduled message
  bool json = false;
};

// With a running server, or on its data. Each returns the exit status.
int list_mailboxes(const config::settings& settings, const mailbox_order& order);
int show_mailbox(const config::settings& settings, const mailbox_order& order);
int list_dead_letters(const config::settings& settings, const mailbox_order& order);
int requeue_dead_letters(const config::settings& settings, const mailbox_order& order);
int purge_dead_letters(const config::settings& settings, const mailbox_order& order);

} // namespace maru::app
