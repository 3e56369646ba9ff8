#include "net/outbox.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace maru::net {
namespace {

constexpr std::uint8_t opcode_text = 0x1;
constexpr std::uint8_t opcode_close = 0x8;
constexpr std::uint8_t final_bit = 0x80;
constexpr std::size_t item_bytes = 64; // so that many tiny frames are bounded, too

std::uint64_t tag_of(const uuid& answer) {
  std::uint64_t out = 0;
  std::memcpy(&out, answer.bytes.data() + 8, sizeof out); // the random half
  return out | 1U;
}

actors::frame_ptr as_frame(std::string bytes) {
  auto out = std::make_shared<actors::frame>();
  out->bytes = std::move(bytes);
  return out;
}

actors::frame_ptr close_frame(close_code why) {
  const auto code = static_cast<unsigned>(why);
  return as_frame({static_cast<char>(final_bit | opcode_close), 2, static_cast<char>(code >> 8U),
                   static_cast<char>(code & 0xffU)});
}

constexpr std::string_view end_of_event = "\n\n";
constexpr std::string_view end_of_chunked_event = "\n\n\r\n";

template <class Iterator>
Iterator append_text(Iterator to, std::string_view text) {
  return std::copy(text.begin(), text.end(), to);
}

template <class Iterator>
Iterator append_digits(Iterator to, std::uint64_t value, int base) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
  return std::copy(digits.data(), end, to);
}

template <class Iterator>
Iterator append_size(Iterator to, std::size_t of_chunk) {
  return append_text(append_digits(to, of_chunk, 16), "\r\n");
}

// What stands before the JSON, which has no line ends.
std::size_t event_header(std::span<std::uint8_t> to, const actors::frame& what, bool chunked) {
  std::array<std::uint8_t, 32> id;
  auto end_of_id = id.begin();
  if (what.seq > 0)
    end_of_id = append_text(append_digits(append_text(end_of_id, "id: "), what.seq, 10), "\n");
  constexpr std::string_view data = "data: ";
  const auto id_bytes = static_cast<std::size_t>(end_of_id - id.begin());
  auto at = to.begin();
  if (chunked) at = append_size(at, id_bytes + data.size() + what.bytes.size() + end_of_event.size());
  at = append_text(std::copy(id.begin(), end_of_id, at), data);
  return static_cast<std::size_t>(at - to.begin());
}

template <class Item>
std::vector<Item> emptied(std::vector<Item> v) {
  constexpr std::size_t kept = 64; // room that an idle connection may keep
  v.clear();
  if (v.capacity() > kept) return {};
  return v;
}

} // namespace

std::size_t frame_header(std::span<std::uint8_t> to, std::uint8_t opcode, std::size_t payload) {
  to[0] = static_cast<std::uint8_t>(final_bit | opcode);
  if (payload < 126) {
    to[1] = static_cast<std::uint8_t>(payload);
    return 2;
  }
  const std::size_t width = payload <= 0xffff ? 2 : 8;
  to[1] = width == 2 ? 126 : 127;
  for (std::size_t i = 0; i < width; ++i)
    to[2 + i] = static_cast<std::uint8_t>(payload >> (8 * (width - 1 - i)));
  return 2 + width;
}

std::string as_chunk(std::string_view piece, framing how) {
  if (how != framing::chunked_events) return std::string{piece};
  std::array<std::uint8_t, frame_header_bytes> size;
  const auto end = append_size(size.begin(), piece.size());
  return std::string{size.begin(), end}.append(piece).append("\r\n");
}

std::size_t outbox::header(std::span<std::uint8_t> to, const actors::frame& what) const {
  if (framing_ == framing::websocket) return frame_header(to, opcode_text, what.bytes.size());
  return event_header(to, what, framing_ == framing::chunked_events);
}

std::string_view outbox::trailer() const {
  switch (framing_) {
  case framing::websocket:
    return {};
  case framing::events:
    return end_of_event;
  case framing::chunked_events:
    break;
  }
  return end_of_chunked_event;
}

std::size_t outbox::size_on_wire(const item& one) const {
  if (one.wire) return one.frame->bytes.size();
  std::array<std::uint8_t, frame_header_bytes> room;
  return header(room, *one.frame) + one.frame->bytes.size() + trailer().size();
}

// An event stream has no close codes: a comment tells people, and the end of the body the client.
actors::frame_ptr outbox::last_frame(close_code why) const {
  if (framing_ == framing::websocket) return close_frame(why);
  auto out = as_chunk(": end " + std::to_string(static_cast<unsigned>(why)) + "\n\n", framing_);
  if (framing_ == framing::chunked_events) out += "0\r\n\r\n";
  return as_frame(std::move(out));
}

bool outbox::push(actors::frame_ptr out) {
  const auto tag = out->delta ? tag_of(out->delta->answer) : 0;
  const auto size = out->bytes.size() + item_bytes;
  const std::lock_guard lock{mutex_};
  if (closed_) return false;
  if (tag != 0 && merge(*out, tag)) return wake(false);
  return add({std::move(out), nullptr, tag, size, false});
}

bool outbox::answer(actors::frame_ptr out, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  ++credit_.commands;
  credit_.bytes += bytes;
  if (out && !closed_) {
    const auto size = out->bytes.size() + item_bytes;
    if (add({std::move(out), nullptr, 0, size, false})) return true;
  }
  return wake(true);
}

bool outbox::control(std::vector<char> wire) {
  const bool closes = !wire.empty() && (static_cast<std::uint8_t>(wire.front()) & 0x0fU) == opcode_close &&
                      (static_cast<std::uint8_t>(wire.front()) & final_bit) != 0;
  auto out = as_frame({wire.begin(), wire.end()});
  const std::lock_guard lock{mutex_};
  if (closed_) return false;
  const bool woken = add({std::move(out), nullptr, 0, wire.size() + item_bytes, true});
  if (closes) close_with(std::nullopt);
  return woken;
}

bool outbox::finish(close_code why) {
  const std::lock_guard lock{mutex_};
  if (closed_) return false;
  close_with(why);
  woken_ = true;
  return true;
}

bool outbox::finish() {
  const std::lock_guard lock{mutex_};
  if (closed_) return false;
  close_with(std::nullopt);
  woken_ = true;
  return true;
}

bool outbox::low_or_tell() {
  const std::lock_guard lock{mutex_};
  if (closed_) return false;
  tell_ = bytes_ >= limits::outbox_low_bytes;
  return !tell_;
}

bool outbox::add(item one) {
  // One frame may be more than the bound: who reads it is not slow.
  if (bytes_ != 0 && bytes_ + one.charged > limits::outbox_bytes) {
    close_with(close_code::slow_reader);
    woken_ = true;
    return true;
  }
  bytes_ += one.charged;
  waiting_.push_back(std::move(one));
  return wake(false);
}

// Only what still waits can grow; a frame that is no delta may be a new base of the answer, so it is a wall.
bool outbox::merge(const actors::frame& next, std::uint64_t tag) {
  const auto& more = *next.delta;
  const auto look = std::min(waiting_.size(), limits::outbox_merge_frames);
  for (auto at = waiting_.rbegin(); at != waiting_.rbegin() + static_cast<std::ptrdiff_t>(look); ++at) {
    if (at->tag == 0) return false;
    if (at->tag != tag) continue;
    const auto& last = at->merged ? *at->merged : *at->frame->delta;
    if (last.answer != more.answer || at->frame->room != next.room) continue;
    if (last.attempt != more.attempt || last.n + more.count != more.n) return false;
    if (bytes_ + more.text.size() > limits::outbox_bytes) return false;
    if (!at->merged) at->merged = std::make_unique<actors::delta_fact>(last);
    at->merged->text += more.text;
    at->merged->count += more.count;
    at->merged->n = more.n;
    at->charged += more.text.size();
    bytes_ += more.text.size();
    return true;
  }
  return false;
}

bool outbox::wake(bool always) {
  if (woken_ || (stalled_ && !always)) return false;
  woken_ = true;
  return true;
}

void outbox::close_with(std::optional<close_code> why) {
  closed_ = true;
  closed_with_ = why;
  tell_ = false;
  if (why == close_code::slow_reader) {
    for (const auto& one : waiting_)
      bytes_ -= one.charged;
    waiting_.clear();
    drop_rest_ = true;
  }
  if (!why) return;
  bytes_ += item_bytes;
  waiting_.push_back({last_frame(*why), nullptr, 0, item_bytes, true});
}

outbox::credit outbox::take_credit() {
  const std::lock_guard lock{mutex_};
  woken_ = false;
  return std::exchange(credit_, {});
}

void outbox::refill() {
  {
    const std::lock_guard lock{mutex_};
    if (std::exchange(drop_rest_, false) && at_ < writing_.size()) {
      const auto from = at_ + (offset_ > 0 ? 1 : 0);
      for (auto i = from; i < writing_.size(); ++i)
        bytes_ -= writing_[i].charged;
      writing_.erase(writing_.begin() + static_cast<std::ptrdiff_t>(from), writing_.end());
    }
    if (at_ < writing_.size()) return;
    at_ = offset_ = 0;
    writing_ = emptied(std::move(writing_));
    std::swap(writing_, waiting_);
  }
  for (auto& one : writing_)
    if (one.merged) {
      one.frame = codec_.delta(one.frame->room, *one.merged);
      one.merged.reset();
    }
}

void outbox::gather(gathered& into) {
  refill();
  into.count = 0;
  std::size_t skip = offset_;
  const auto end = std::min(writing_.size(), at_ + limits::outbox_gather_frames);
  const auto after = trailer();
  std::span<std::uint8_t> headers{into.headers};
  const auto add_part = [&](const void* data, std::size_t size) {
    const auto skipped = std::min(skip, size);
    skip -= skipped;
    if (size == skipped) return;
    auto* from = const_cast<char*>(static_cast<const char*>(data)) + skipped; // iovec knows no const
    into.parts[into.count++] = {from, size - skipped};
  };
  for (auto i = at_; i < end; ++i) {
    const auto& frame = *writing_[i].frame;
    if (!writing_[i].wire) {
      const auto size = header(headers, frame);
      add_part(headers.data(), size);
      headers = headers.subspan(size);
    }
    add_part(frame.bytes.data(), frame.bytes.size());
    if (!writing_[i].wire) add_part(after.data(), after.size());
  }
}

bool outbox::wrote(std::size_t bytes) {
  std::size_t given_back = 0;
  bytes += offset_;
  while (at_ < writing_.size()) {
    auto& one = writing_[at_];
    const auto size = size_on_wire(one);
    if (bytes < size) break;
    bytes -= size;
    given_back += one.charged;
    one.frame.reset();
    frames_written_ += one.wire ? 0 : 1;
    ++at_;
  }
  offset_ = bytes;
  const std::lock_guard lock{mutex_};
  bytes_ -= given_back;
  return bytes_ < limits::outbox_low_bytes && std::exchange(tell_, false);
}

void outbox::stalled(bool yes) {
  const std::lock_guard lock{mutex_};
  stalled_ = yes;
}

bool outbox::closed() const {
  const std::lock_guard lock{mutex_};
  return closed_;
}

std::optional<close_code> outbox::closed_with() const {
  const std::lock_guard lock{mutex_};
  return closed_with_;
}

bool outbox::finished() const {
  const std::lock_guard lock{mutex_};
  return closed_ && waiting_.empty() && at_ == writing_.size();
}

std::size_t outbox::bytes() const {
  const std::lock_guard lock{mutex_};
  return bytes_;
}

} // namespace maru::net
