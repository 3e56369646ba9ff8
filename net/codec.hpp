#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "actors/wire.hpp"
#include "config/settings.hpp"

namespace maru::net {

// Frames of maru.v1. The version and the node go into `welcome`.
std::unique_ptr<actors::frame_codec> make_codec(const config::settings& settings, std::string_view version,
                                                std::string_view node);

// `pong`; `t` is the client's own, as JSON, or "".
actors::frame_ptr pong_frame(std::string_view t);

} // namespace maru::net
