#pragma once

// The stream beneath Beast's WebSocket. Private to net/.
//
// Invariant: it alone owns the reading side of the socket, and never writes to it. What Beast wants written
// (the reply to the upgrade, pongs, close frames) goes whole into the outbox, in line with our own frames,
// which go out below Beast, many at a time. What Beast may read comes from the socket, or from `ahead`.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>

#include "net/worker.hpp"

namespace maru::net {

class corked {
public:
  using executor_type = executor;
  // Takes the bytes of whole frames.
  class sink {
  public:
    virtual void wire(std::vector<char> bytes) = 0;

  protected:
    ~sink() = default;
  };

  corked(stream_socket socket, std::string ahead, sink& out)
      : socket_(std::move(socket)), ahead_(std::move(ahead)), out_(&out) {}

  executor_type get_executor() { return socket_.get_executor(); }
  stream_socket& socket() { return socket_; }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& into, Handler&& handler) {
    if (ahead_.empty()) {
      socket_.async_read_some(into, std::forward<Handler>(handler));
      return;
    }
    const auto size = asio::buffer_copy(into, asio::buffer(ahead_));
    ahead_.erase(0, size);
    if (ahead_.empty()) ahead_.shrink_to_fit();
    done(std::forward<Handler>(handler), size);
  }

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& from, Handler&& handler) {
    std::vector<char> bytes(asio::buffer_size(from));
    asio::buffer_copy(asio::buffer(bytes), from);
    const auto size = bytes.size();
    out_->wire(std::move(bytes));
    done(std::forward<Handler>(handler), size);
  }

private:
  template <class Handler>
  void done(Handler&& handler, std::size_t size) {
    asio::post(get_executor(), boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                                boost::system::error_code{}, size));
  }

  stream_socket socket_;
  std::string ahead_;
  sink* out_;
};

// Beast wants the connection torn down; the owner does that, once the outbox is empty.
template <class Handler>
void async_teardown(boost::beast::role_type, corked& stream, Handler&& handler) {
  asio::post(stream.get_executor(),
             boost::beast::bind_front_handler(std::forward<Handler>(handler), boost::system::error_code{}));
}
inline void teardown(boost::beast::role_type, corked&, boost::system::error_code& failed) { failed = {}; }
inline void beast_close_socket(corked&) {}

} // namespace maru::net
