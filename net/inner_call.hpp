#pragma once

#include "actors/wire.hpp"
#include "config/settings.hpp"
#include "net/local_get.hpp"

namespace maru::net {

// As local_call, of the actors in this process: by the same routes, without a socket. Not from their threads.
local_reply inner_call(actors::front& front, const config::settings& settings, const local_request& what);

} // namespace maru::net
