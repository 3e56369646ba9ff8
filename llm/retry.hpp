#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace maru::llm {

// A Retry-After of seconds or of an HTTP date, at most limits::provider_retry_after_most_ms; 0 for anything
// else.
std::chrono::milliseconds parse_retry_after(std::string_view text, std::int64_t now_unix_ms);

// Whether the same request may succeed later.
bool retryable_status(int status);

} // namespace maru::llm
