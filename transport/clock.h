// Monotonic nanoseconds; every deadline inside transport/ is one of these.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace baton::transport {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

inline std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// `left` nanoseconds after `now`, without wrapping around for "practically never".
inline std::int64_t deadline_after(std::int64_t now, std::int64_t left) { return left >= kNever - now ? kNever : now + left; }

}  // namespace baton::transport
