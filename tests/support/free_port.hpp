#pragma once

#include <cstdint>

namespace maru::test {

// Below the ports that the kernel gives to outgoing connections: nobody takes it while the server is down.
std::uint16_t free_port();

} // namespace maru::test
