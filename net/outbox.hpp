#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/uio.h>

#include "actors/wire.hpp"
#include "config/limits.hpp"

namespace maru::net {

// Room for what stands before a frame: a chunk's size, `id: ` and `data: `.
inline constexpr std::size_t frame_header_bytes = 56;

// How frames are set apart on the wire: as WebSocket frames, or as server-sent events, each in an HTTP chunk
// or not.
enum class framing : std::uint8_t { websocket, events, chunked_events };

// What waits to be written to one connection. Invariants: frames leave in the order they came; a delta joins
// an earlier one only if nothing but deltas stands between; nothing follows a close frame; the bytes are
// bounded.
//
// The first group may be called from any thread. Where it returns true, the caller has to see to it that
// gather() is called soon: so a burst costs one wake-up.
class outbox {
public:
  explicit outbox(const actors::frame_codec& codec, framing how = framing::websocket)
      : codec_(codec), framing_(how) {}

  bool push(actors::frame_ptr out);
  bool answer(actors::frame_ptr out, std::size_t bytes); // null: only gives the credit back
  bool control(std::vector<char> wire);                  // bytes that go out as they are
  bool finish(close_code why); // a close frame, after what waits where that makes sense
  bool finish();               // the same without a close frame
  // True: less than outbox_low_bytes wait. False: wrote() will tell, once; or the outbox is closed.
  bool low_or_tell();

  // --- the writer's side, one thread at a time

  struct credit {
    std::size_t commands = 0, bytes = 0;
  };
  credit take_credit();

  struct gathered {
    std::array<iovec, 3 * limits::outbox_gather_frames> parts;
    std::array<std::uint8_t, frame_header_bytes * limits::outbox_gather_frames> headers;
    std::size_t count = 0; // of parts
  };
  // What to write next; nothing when `count` stays 0. The parts live until wrote() or the next gather().
  void gather(gathered& into);
  bool wrote(std::size_t bytes); // true: low now, and somebody asked to be told
  void stalled(bool yes);        // while stalled nobody needs waking for frames

  [[nodiscard]] bool closed() const;   // takes no more
  [[nodiscard]] bool finished() const; // and all is written
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::optional<close_code> closed_with() const; // our own close frame
  std::size_t take_frames_written() { return std::exchange(frames_written_, 0); }

private:
  struct item {
    actors::frame_ptr frame;
    std::unique_ptr<actors::delta_fact> merged; // takes the place of the frame's delta
    std::uint64_t tag = 0;                      // of a delta's answer
    std::size_t charged = 0;                    // against outbox_bytes
    bool wire = false;                          // already framed
  };

  std::size_t header(std::span<std::uint8_t> to, const actors::frame& what) const;
  [[nodiscard]] std::string_view trailer() const;
  [[nodiscard]] std::size_t size_on_wire(const item& one) const;
  [[nodiscard]] actors::frame_ptr last_frame(close_code why) const;
  bool add(item one); // under the lock
  bool merge(const actors::frame& next, std::uint64_t tag);
  bool wake(bool always);
  void close_with(std::optional<close_code> why);
  void refill();

  const actors::frame_codec& codec_;
  const framing framing_;

  mutable std::mutex mutex_; // guards up to the blank line
  std::vector<item> waiting_;
  std::size_t bytes_ = 0; // waiting and being written
  credit credit_;
  bool closed_ = false;
  std::optional<close_code> closed_with_;
  bool woken_ = false;
  bool stalled_ = false;
  bool tell_ = false;
  bool drop_rest_ = false; // a slow reader gets no more than the frame it is in, and the close frame

  std::vector<item> writing_;
  std::size_t frames_written_ = 0; // text frames, since they were taken
  std::size_t at_ = 0;             // the item being written
  std::size_t offset_ = 0;         // how much of it is out, header included
};

// The header of an unmasked WebSocket frame; returns its length.
std::size_t frame_header(std::span<std::uint8_t> to, std::uint8_t opcode, std::size_t payload);

// A piece of an HTTP body, as it is or as a chunk.
std::string as_chunk(std::string_view piece, framing how);

} // namespace maru::net
