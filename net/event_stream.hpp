#pragma once

// A room's frames as server-sent events. Private to net/.

#include <functional>
#include <memory>
#include <string>

#include "net/worker.hpp"

namespace maru::net {

struct stream_start {
  actors::identity who;
  actors::open_in what;
  std::string head; // of the reply, should it be a stream
  bool chunked = true;
  // Called once, on the worker's thread, unless abandoned before: refused, or to be served.
  std::function<void(const refusal&)> decided;
};

// Opens the room like a socket that has said hello; the socket itself it gets once that is done, so what is
// refused is an ordinary reply.
class event_stream : public actors::connection, public member {
public:
  virtual void serve(stream_socket socket) = 0;
  virtual void abandon() = 0; // instead of serve()
};

std::shared_ptr<event_stream> open_stream(std::shared_ptr<worker> home, stream_start start);

} // namespace maru::net
