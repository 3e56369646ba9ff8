#pragma once

// Server-sent events, from bytes cut anywhere. Invariants:
// - The events do not depend on where the bytes were cut.
// - What is held is bounded: a line or an event beyond the bound ends the parsing.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace maru::llm {

struct sse_event {
  std::string_view name; // "" when not given
  std::string_view data; // lines joined by LF
};

class sse_parser {
public:
  explicit sse_parser(std::size_t most_bytes) : most_(most_bytes) {}

  // `bytes` have to stay until next() gave nothing.
  void feed(std::string_view bytes) { input_ = bytes; }

  // The next whole event; its views hold until the next call.
  std::optional<sse_event> next();

  // At the end of the bytes: the event that was not yet closed by an empty line. Servers forget that line.
  std::optional<sse_event> finish();

  [[nodiscard]] bool too_large() const { return too_large_; }

  // A line came that no event stream has, before any that it has.
  [[nodiscard]] bool foreign() const { return foreign_; }

private:
  bool take_line(std::string_view& line);
  bool hold(std::string_view part);
  void read_line(std::string_view line);
  void read_data(std::string_view value);
  void keep_data();
  std::optional<sse_event> dispatch();

  std::size_t most_;
  std::string_view input_;
  std::string partial_;   // a line that is not whole yet
  std::string_view view_; // the data while it is one line of the input
  std::string data_;      // the data otherwise
  std::string name_;
  bool partial_used_ = false; // `partial_` was given out as a line
  bool has_data_ = false;
  bool in_view_ = false;
  bool given_ = false; // an event was given out; forget it first
  bool skip_lf_ = false;
  bool first_line_ = true;
  bool known_ = false;
  bool foreign_ = false;
  bool too_large_ = false;
};

} // namespace maru::llm
