#include "llm/sse.hpp"

#include <cstring>

namespace maru::llm {
namespace {

std::size_t find_line_end(std::string_view s) {
  if (s.empty()) return s.npos;
  auto lf = static_cast<const char*>(std::memchr(s.data(), '\n', s.size()));
  auto range = lf ? static_cast<std::size_t>(lf - s.data()) : s.size();
  auto cr = range ? static_cast<const char*>(std::memchr(s.data(), '\r', range)) : nullptr;
  if (cr) return static_cast<std::size_t>(cr - s.data());
  return lf ? range : s.npos;
}

} // namespace

bool sse_parser::hold(std::string_view part) {
  if (partial_.size() + part.size() > most_) {
    too_large_ = true;
    return false;
  }
  partial_.append(part);
  return true;
}

bool sse_parser::take_line(std::string_view& line) {
  if (partial_used_) {
    partial_.clear();
    partial_used_ = false;
  }
  if (skip_lf_ && !input_.empty()) {
    skip_lf_ = false;
    if (input_.front() == '\n') input_.remove_prefix(1);
  }
  auto end = find_line_end(input_);
  if (end == input_.npos) {
    hold(input_);
    input_ = {};
    return false;
  }
  line = input_.substr(0, end);
  if (line.size() > most_) {
    too_large_ = true;
    return false;
  }
  skip_lf_ = input_[end] == '\r';
  input_.remove_prefix(end + 1);
  if (!partial_.empty()) {
    if (!hold(line)) return false;
    line = partial_;
    partial_used_ = true;
  }
  return true;
}

// The views into the input, or into a held line, do not live longer than it.
void sse_parser::keep_data() {
  if (in_view_) {
    data_.assign(view_);
    in_view_ = false;
  }
}

void sse_parser::read_data(std::string_view value) {
  if (!has_data_) {
    has_data_ = true;
    in_view_ = !partial_used_;
    if (in_view_)
      view_ = value;
    else
      data_.assign(value);
    return;
  }
  keep_data();
  if (data_.size() + value.size() + 1 > most_) {
    too_large_ = true;
    return;
  }
  data_ += '\n';
  data_ += value;
}

void sse_parser::read_line(std::string_view line) {
  if (first_line_) {
    first_line_ = false;
    if (line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
    if (line.empty()) return;
  }
  auto colon = line.find(':');
  auto field = line.substr(0, colon);
  auto value = colon == line.npos ? std::string_view{} : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "data")
    read_data(value);
  else if (field == "event")
    name_.assign(value);
  else if (!field.empty() && field != "id" && field != "retry") {
    foreign_ = foreign_ || !known_;
    return;
  }
  known_ = true;
}

std::optional<sse_event> sse_parser::dispatch() {
  if (!has_data_) {
    name_.clear();
    return std::nullopt;
  }
  given_ = true;
  return sse_event{name_, in_view_ ? view_ : std::string_view(data_)};
}

std::optional<sse_event> sse_parser::next() {
  if (given_) {
    given_ = has_data_ = in_view_ = false;
    name_.clear();
  }
  std::string_view line;
  while (!too_large_ && take_line(line)) {
    if (!line.empty()) {
      read_line(line);
      continue;
    }
    first_line_ = false;
    if (auto event = dispatch()) return event;
  }
  keep_data();
  return std::nullopt;
}

std::optional<sse_event> sse_parser::finish() {
  if (too_large_) return std::nullopt;
  input_ = {};
  if (given_) {
    given_ = has_data_ = in_view_ = false;
    name_.clear();
  }
  if (partial_used_) partial_.clear();
  if (!partial_.empty()) {
    partial_used_ = true;
    read_line(partial_);
  }
  return dispatch();
}

} // namespace maru::llm
