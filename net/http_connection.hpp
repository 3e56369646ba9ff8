#pragma once

// Private to net/.

#include <memory>

#include "net/worker.hpp"

namespace maru::net {

// Serves HTTP/1.1 on the socket, which belongs to `home`. Called on its thread.
void start_http(std::shared_ptr<worker> home, stream_socket socket);

} // namespace maru::net
