// Time as the cores see it: an argument. An Instant is nanoseconds on the driver's own steady clock (or the simulator's
// virtual one); it never crosses a node, where only durations (time left) are sent.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace baton {

using Duration = std::chrono::nanoseconds;
using Milliseconds = std::chrono::milliseconds;

struct Instant {
  std::int64_t ns = 0;
  auto operator<=>(const Instant&) const = default;

  friend Instant operator+(Instant t, Duration d) { return {t.ns + d.count()}; }
  friend Instant operator-(Instant t, Duration d) { return {t.ns - d.count()}; }
  friend Duration operator-(Instant a, Instant b) { return Duration{a.ns - b.ns}; }
};

}  // namespace baton
