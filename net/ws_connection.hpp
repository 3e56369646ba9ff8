#pragma once

// Private to net/.

#include <memory>
#include <string>
#include <variant>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/worker.hpp"

namespace maru::net {

struct ws_start {
  boost::beast::http::request<boost::beast::http::string_body> request;
  std::string ahead;    // what came behind the request
  std::string protocol; // to be echoed; "" none
  std::string request_id;
  std::variant<actors::identity, close_code> outcome;
};

// Takes the socket over, accepts the upgrade and serves the WebSocket, or closes it with the code.
void start_websocket(std::shared_ptr<worker> home, stream_socket socket, ws_start start);

} // namespace maru::net
