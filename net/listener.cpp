#include "net/listener.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "config/address.hpp"

namespace maru::net {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

std::string words_for(int error) { return std::generic_category().message(error); }

tcp::endpoint as_tcp(const stream_socket::endpoint_type& from) {
  tcp::endpoint out;
  if (from.size() > out.capacity()) return out;
  std::memcpy(out.data(), from.data(), from.size());
  out.resize(from.size());
  return out;
}

std::string text_of(const tcp::endpoint& at) {
  std::string out = at.address().is_v6() ? "[" : "";
  out.append(at.address().to_string()).append(at.address().is_v6() ? "]:" : ":");
  return out.append(std::to_string(at.port()));
}

// 0: somebody listens there; else what connecting to it says.
int try_to_connect(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  const int failed = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
  ::close(fd);
  return failed == EAGAIN ? 0 : failed; // its queue is full
}

// What a server that was killed has left may go; nothing else.
void make_way(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    throw std::runtime_error(words_for(errno));
  }
  if (!S_ISSOCK(found.st_mode)) throw std::runtime_error("there is a file, and it is no socket");
  const int said = try_to_connect(path);
  if (said == 0) throw std::runtime_error("another process listens there");
  if (said != ECONNREFUSED) throw std::runtime_error(words_for(said));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    throw std::runtime_error("what an earlier server left cannot be removed: " + words_for(errno));
}

} // namespace

socket_file::socket_file(std::string path) : path_(std::move(path)) {
  struct stat made{};
  if (::lstat(path_.c_str(), &made) != 0) return;
  device_ = made.st_dev;
  inode_ = made.st_ino;
}

socket_file::~socket_file() {
  struct stat found{};
  if (::lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) ::unlink(path_.c_str());
}

listener::listener(asio::io_context& io, const std::string& address) : socket(io), pause(io) {
  const auto where = config::parse_address(address);
  try {
    if (!where) throw std::runtime_error("it must be " + std::string{config::address_forms});
    if (where->local_socket())
      open_file(where->path);
    else
      open_port(where->host, where->port);
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("cannot listen on " + address + ": " + e.code().message());
  } catch (const std::runtime_error& e) {
    throw std::runtime_error("cannot listen on " + address + ": " + e.what());
  }
}

void listener::open_port(const std::string& host, std::uint16_t port) {
  const tcp::endpoint at{asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host), port};
  socket.open(at.protocol());
  socket.set_option(asio::socket_base::reuse_address{true});
  if (at.address().is_v6()) socket.set_option(asio::ip::v6_only{true});
  socket.bind(at);
  socket.listen();
  name = text_of(as_tcp(socket.local_endpoint()));
}

// Nobody can connect before listen(): by then the mode holds.
void listener::open_file(const std::string& path) {
  constexpr mode_t owner_and_group = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP;
  make_way(path);
  socket.open(asio::local::stream_protocol{});
  socket.bind(asio::local::stream_protocol::endpoint{path});
  file_.emplace(path);
  if (::chmod(path.c_str(), owner_and_group) != 0) throw std::runtime_error(words_for(errno));
  socket.listen();
  name = "unix:" + path;
}

void listener::close() {
  error_code ignored;
  file_.reset(); // first: what is not there any more is not connected to
  socket.close(ignored);
  pause.cancel();
}

address_key key_of_peer(const stream_socket::endpoint_type& peer) {
  if (peer.data()->sa_family == AF_UNIX) return uncounted;
  const auto from = as_tcp(peer).address();
  return key_of(
      (from.is_v4() ? make_address_v6(asio::ip::v4_mapped, from.to_v4()) : from.to_v6()).to_bytes());
}

bool is_from_here(const stream_socket& socket) {
  boost::system::error_code failed;
  const auto peer = socket.remote_endpoint(failed), here = socket.local_endpoint(failed);
  if (failed) return false;
  if (peer.data()->sa_family == AF_UNIX) return true;
  return as_tcp(peer).address().is_loopback() && as_tcp(here).address().is_loopback();
}

} // namespace maru::net
