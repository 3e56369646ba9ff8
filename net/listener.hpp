#pragma once

// Where connections come from: a TCP port, or a socket file. Private to net/.

#include <chrono>
#include <optional>
#include <string>

#include <sys/types.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>

#include "net/worker.hpp"

namespace maru::net {

// The file of a listening socket; removed with this, unless another has taken its place.
class socket_file {
public:
  explicit socket_file(std::string path); // of a file that has just been bound
  ~socket_file();
  socket_file(const socket_file&) = delete;
  socket_file& operator=(const socket_file&) = delete;

private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// An acceptor and what it needs to go on after an error. Lives on the first worker's thread.
struct listener {
  // Throws std::runtime_error, which names the address.
  listener(asio::io_context& io, const std::string& address);
  void close();

  asio::basic_socket_acceptor<asio::generic::stream_protocol, executor> socket;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             executor>
      pause;
  std::string name; // with the port that was found where any was asked for
  bool complained = false;

private:
  void open_port(const std::string& host, std::uint16_t port);
  void open_file(const std::string& path);

  std::optional<socket_file> file_;
};

// What an address may do is counted under this. Whoever comes through a socket file was let in by its mode
// and is in practice a proxy, behind which are many: it counts by itself.
address_key key_of_peer(const stream_socket::endpoint_type& peer);
// Both ends are this machine's own.
bool is_from_here(const stream_socket& socket);

} // namespace maru::net
