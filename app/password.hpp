#pragma once

#include <string>

namespace maru::app {

// From the terminal, unseen and asked twice; where standard input is none, its first line. Throws trouble.
std::string ask_password();

std::string random_password();

} // namespace maru::app
