#include "tests/support/event_reader.hpp"

#include <charconv>

namespace maru::tests {

event_reader::event_reader(const std::string& address, const std::string& target, const headers& with,
                           std::string_view version)
    : link_(address) {
  auto text = http_text("GET", target, with);
  text.replace(text.find("HTTP/1.1"), 8, version);
  link_.send(text);
  while (raw_.find("\r\n\r\n") == std::string::npos)
    if (link_.receive(raw_) == 0) return;
  reply_ = parsed_head(std::string_view{raw_}.substr(0, raw_.find("\r\n\r\n")));
  raw_.erase(0, raw_.find("\r\n\r\n") + 4);
  chunked_ = reply_.field("transfer-encoding") == "chunked";
  if (!reply_.has("content-length")) {
    take_chunks();
    return;
  }
  while (raw_.size() < std::stoul(reply_.field("content-length")) && link_.receive(raw_) > 0) {
  }
  reply_.body = raw_;
}

bool event_reader::more(std::chrono::milliseconds wait) {
  if (last_chunk_ || link_.receive(raw_, wait) == 0) return false;
  take_chunks();
  return true;
}

void event_reader::take_chunks() {
  if (!chunked_) {
    text_ += std::exchange(raw_, {});
    return;
  }
  while (!last_chunk_) {
    const auto line = raw_.find("\r\n");
    if (line == std::string::npos) return;
    std::size_t size = 0;
    std::from_chars(raw_.data(), raw_.data() + line, size, 16);
    if (raw_.size() < line + 2 + size + 2) return;
    text_.append(raw_, line + 2, size);
    raw_.erase(0, line + 2 + size + 2);
    last_chunk_ = size == 0;
  }
}

// One block up to its empty line; nothing while it is not whole, and where it has no data.
std::optional<read_event> event_reader::take_block() {
  const auto end = text_.find("\n\n");
  if (end == std::string::npos) return std::nullopt;
  read_event out;
  bool has_data = false;
  std::string_view left{text_.data(), end + 1};
  while (!left.empty()) {
    const auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(line.size() + 1);
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    const auto value = line.substr(std::min(line.size(), colon + 2));
    if (name.empty()) comment_ = value, ++comments_;
    if (name == "id") out.id = value;
    if (name == "retry") retry_ = value;
    if (name == "data") out.data += value, has_data = true;
  }
  text_.erase(0, end + 2);
  if (has_data) return out;
  return std::nullopt;
}

std::optional<read_event> event_reader::next(std::chrono::milliseconds wait) {
  while (true) {
    while (text_.find("\n\n") != std::string::npos)
      if (auto out = take_block()) return out;
    if (!more(wait)) return std::nullopt;
  }
}

bool event_reader::wait_comment() {
  const auto before = comments_;
  while (true) {
    while (text_.find("\n\n") != std::string::npos)
      take_block();
    if (comments_ > before) return true;
    if (!more(patience)) return false;
  }
}

bool event_reader::wait_end() {
  while (next()) {
  }
  return last_chunk_ || !link_.timed_out();
}

} // namespace maru::tests
