#pragma once

// What a command says, in 48 bytes: a digest of its content with defaults filled in, then the parent it was
// placed under. Under one id only a command with the same mark is a resend.

#include <string>
#include <vector>

#include "actors/messages.hpp"

namespace maru::actors {

std::string mark_of(const post_message& what, const std::vector<std::string>& agents, const uuid& parent);
std::string mark_of_stop(const uuid& answer);
std::string mark_of_retry(const uuid& answer);
std::string mark_of(const schedule_message& what);

// `any_parent`: the one left its parent open, which means the parent that the other got.
bool same_mark(const std::string& one, const std::string& other, bool any_parent);

} // namespace maru::actors
