#pragma once

// TLS in front of a plain loopback server, with a certificate made on the spot and signed by itself.

#include <cstdint>
#include <memory>
#include <string>

namespace maru::test {

class tls_front {
public:
  // The certificate is for `name` alone: a DNS name or an IPv4 address.
  tls_front(std::uint16_t plain_port, const std::string& name);
  ~tls_front();
  tls_front(const tls_front&) = delete;
  tls_front& operator=(const tls_front&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] const std::string& ca_file() const; // its certificate as PEM; gone with this object

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace maru::test
