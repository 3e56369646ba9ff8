#include "tests/support/ws_client.hpp"

#include <stdexcept>

namespace maru::tests {
namespace {

using clock = std::chrono::steady_clock;

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes)
    out = out << 8U | static_cast<std::uint8_t>(c);
  return out;
}

void put(std::string& to, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i)
    to.push_back(static_cast<char>(value >> (8U * static_cast<unsigned>(i)) & 0xffU));
}

} // namespace

ws_client::ws_client(const std::string& address, std::string_view target, const headers& with,
                     std::string_view subprotocol)
    : link_(address) {
  // The key and its answer are the example of RFC 6455.
  headers all{{"Connection", "Upgrade"},
              {"Upgrade", "websocket"},
              {"Sec-WebSocket-Version", "13"},
              {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  if (!subprotocol.empty()) all.emplace_back("Sec-WebSocket-Protocol", subprotocol);
  all.insert(all.end(), with.begin(), with.end());
  link_.send(http_text("GET", target, all));
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (link_.receive(buffer_) == 0) return;
  const auto head = buffer_.substr(0, end + 4);
  std::size_t at = head.find("\r\n");
  upgrade_.status = std::stoi(head.substr(9, 3));
  while (at + 2 < end) {
    const auto next = head.find("\r\n", at + 2);
    const auto line = head.substr(at + 2, next - at - 2);
    if (const auto colon = line.find(": "); colon != std::string::npos) {
      auto name = line.substr(0, colon);
      for (auto& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      upgrade_.fields.emplace_back(std::move(name), line.substr(colon + 2));
    }
    at = next;
  }
  buffer_.erase(0, end + 4);
  if (upgrade_.status == 101 && upgrade_.field("sec-websocket-accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    throw std::runtime_error("wrong Sec-WebSocket-Accept");
}

std::string ws_client::wire(int opcode, std::string_view payload, bool fin, bool masked) {
  std::string out;
  out.reserve(payload.size() + 14);
  out.push_back(static_cast<char>((fin ? 0x80 : 0) | opcode));
  const unsigned mask_bit = masked ? 0x80U : 0U;
  if (payload.size() < 126) {
    put(out, mask_bit | payload.size(), 1);
  } else if (payload.size() < 65'536) {
    put(out, mask_bit | 126U, 1);
    put(out, payload.size(), 2);
  } else {
    put(out, mask_bit | 127U, 1);
    put(out, payload.size(), 8);
  }
  if (!masked) return out.append(payload);
  constexpr std::string_view mask = "\x12\x34\x56\x78";
  out += mask;
  for (std::size_t i = 0; i < payload.size(); ++i)
    out.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
  return out;
}

bool ws_client::send_frame(int opcode, std::string_view payload, bool fin) {
  return link_.send(wire(opcode, payload, fin));
}

std::optional<std::string> ws_client::receive(std::chrono::milliseconds wait) {
  const auto until = clock::now() + wait;
  timed_out_ = false;
  while (!closed_) {
    std::optional<std::string> message;
    while (take_frame(message))
      if (message) return message;
    if (closed_) break;
    buffer_.erase(0, start_);
    start_ = 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    if (link_.receive(buffer_, std::max(left, std::chrono::milliseconds{0})) != 0) continue;
    timed_out_ = link_.timed_out();
    if (timed_out_) return std::nullopt;
    closed_ = true;
  }
  return std::nullopt;
}

bool ws_client::take_frame(std::optional<std::string>& message) {
  if (closed_) return false;
  const auto in = std::string_view{buffer_}.substr(start_);
  if (in.size() < 2) return false;
  const auto first = static_cast<std::uint8_t>(in[0]);
  std::uint64_t size = static_cast<std::uint8_t>(in[1]) & 0x7fU;
  std::size_t at = 2;
  if (size >= 126) {
    const std::size_t width = size == 126 ? 2 : 8;
    if (in.size() < at + width) return false;
    size = big_endian(in.substr(at, width));
    at += width;
  }
  if (in.size() < at + size) return false;
  const auto payload = in.substr(at, size);
  start_ += at + size;
  const int opcode = first & 0x0f;
  if (opcode >= 8) {
    take_control(opcode, std::string{payload});
  } else if ((first & 0x80U) != 0 && partial_.empty()) {
    message.emplace(payload);
  } else {
    partial_ += payload;
    if ((first & 0x80U) != 0) message.emplace(std::exchange(partial_, {}));
  }
  return true;
}

void ws_client::take_control(int opcode, std::string payload) {
  if (opcode == 0x9) {
    ++pings_;
    if (answer_pings_) send_frame(0xa, payload);
  } else if (opcode == 0xa) {
    ++pongs_;
  } else if (opcode == 0x8) {
    closed_ = true;
    close_code_ = payload.size() >= 2
                      ? static_cast<std::uint16_t>(big_endian(std::string_view{payload}.substr(0, 2)))
                      : std::uint16_t{1005};
    if (!close_sent_) send_frame(0x8, payload.substr(0, 2));
    close_sent_ = true;
  }
}

std::uint16_t ws_client::wait_closed(std::chrono::milliseconds wait) {
  const auto until = clock::now() + wait;
  while (!closed_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    if (!receive(std::max(left, std::chrono::milliseconds{0})) && timed_out_)
      throw std::runtime_error("the server has not closed in time");
  }
  return close_code_.value_or(1006);
}

void ws_client::close(std::uint16_t code) {
  std::string payload;
  put(payload, code, 2);
  send_frame(0x8, payload);
  close_sent_ = true;
}

} // namespace maru::tests
