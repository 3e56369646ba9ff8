#include "tests/support/tls_front.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace maru::test {
namespace {

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using certificate_ptr = std::unique_ptr<X509, decltype(&X509_free)>;

void extend(X509* certificate, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  auto extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

certificate_ptr make_certificate(EVP_PKEY* key, const std::string& name) {
  certificate_ptr made(X509_new(), X509_free);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 86'400);
  X509_set_pubkey(made.get(), key);
  auto subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                             -1, 0);
  X509_set_issuer_name(made.get(), subject);
  in_addr address{};
  auto kind = ::inet_pton(AF_INET, name.c_str(), &address) == 1 ? "IP:" : "DNS:";
  extend(made.get(), NID_subject_alt_name, kind + name);
  extend(made.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(made.get(), key, EVP_sha256());
  return made;
}

std::string write_pem(X509* certificate) {
  std::string path = "/tmp/maru-test-ca-XXXXXX";
  int fd = ::mkstemp(path.data());
  if (fd < 0) throw std::runtime_error("tls_front: no file for the certificate");
  auto file = ::fdopen(fd, "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  return path;
}

int loopback(std::uint16_t port, bool listening) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  auto address = reinterpret_cast<sockaddr*>(&at);
  if (listening ? ::bind(fd, address, sizeof at) != 0 || ::listen(fd, 64) != 0
                : ::connect(fd, address, sizeof at) != 0)
    throw std::runtime_error("tls_front: no socket");
  return fd;
}

bool send_all(int fd, const char* data, int size) {
  return ::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
}

// Carries bytes both ways until one side ends.
void carry(SSL* tls, int outside, int inside, const std::atomic<bool>& stop) {
  std::array<char, 16'384> buffer{};
  const auto room = static_cast<int>(buffer.size());
  while (!stop) {
    std::array<pollfd, 2> ready{{{outside, POLLIN, 0}, {inside, POLLIN, 0}}};
    if (SSL_pending(tls) == 0 && ::poll(ready.data(), ready.size(), 50) <= 0) continue;
    if (SSL_pending(tls) > 0 || ready[0].revents != 0) {
      auto n = SSL_read(tls, buffer.data(), room);
      if (n <= 0 || !send_all(inside, buffer.data(), n)) return;
    }
    if (ready[1].revents != 0) {
      auto n = ::recv(inside, buffer.data(), buffer.size(), 0);
      if (n <= 0 || SSL_write(tls, buffer.data(), static_cast<int>(n)) <= 0) return;
    }
  }
}

} // namespace

struct tls_front::impl {
  impl(std::uint16_t plain_port, const std::string& name)
      : plain(plain_port), key(EVP_EC_gen("P-256"), EVP_PKEY_free),
        certificate(make_certificate(key.get(), name)), context(SSL_CTX_new(TLS_server_method())),
        file(write_pem(certificate.get())), listener(loopback(0, true)) {
    // OpenSSL writes to sockets that the other side may have closed.
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX_use_certificate(context, certificate.get());
    SSL_CTX_use_PrivateKey(context, key.get());
    sockaddr_in at{};
    socklen_t size = sizeof at;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
    port = ntohs(at.sin_port);
    acceptor = std::thread([this] { accept_all(); });
  }

  ~impl() {
    stop = true;
    acceptor.join();
    for (auto& one : carriers)
      one.join();
    ::close(listener);
    SSL_CTX_free(context);
    ::unlink(file.c_str());
  }

  void accept_all() {
    while (!stop) {
      pollfd ready{listener, POLLIN, 0};
      if (::poll(&ready, 1, 50) <= 0) continue;
      int fd = ::accept(listener, nullptr, nullptr);
      if (fd >= 0) carriers.emplace_back([this, fd] { serve(fd); });
    }
  }

  void serve(int fd) {
    auto tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    if (SSL_accept(tls) == 1) {
      int inside = loopback(plain, false);
      carry(tls, fd, inside, stop);
      ::close(inside);
    }
    SSL_free(tls);
    ::close(fd);
  }

  std::uint16_t plain;
  key_ptr key;
  certificate_ptr certificate;
  SSL_CTX* context;
  std::string file;
  int listener;
  std::uint16_t port = 0;
  std::atomic<bool> stop{false};
  std::vector<std::thread> carriers;
  std::thread acceptor;
};

tls_front::tls_front(std::uint16_t plain_port, const std::string& name)
    : impl_(std::make_unique<impl>(plain_port, name)) {}
tls_front::~tls_front() = default;
std::uint16_t tls_front::port() const { return impl_->port; }
const std::string& tls_front::ca_file() const { return impl_->file; }

} // namespace maru::test
