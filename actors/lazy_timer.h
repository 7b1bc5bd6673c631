// A core's one timer over a driver's one-shot alarms. Cores replace their timer at almost every event; asking the driver for an
// alarm each time would leave thousands pending. So an alarm that is early enough already is reused: when it rings before the
// time wanted now, it is only asked for again. And no alarm is asked for far ahead: a pending one keeps its actor in memory.
#pragma once

#include <algorithm>
#include <optional>

#include "runtime/base/time.h"

namespace baton {

class LazyTimer {
 public:
  static constexpr Duration kFarthest = Milliseconds{2000};

  // The core wants a tick at `at`. Returns when to ask the driver for an alarm, if one is needed.
  std::optional<Instant> want(Instant at, Instant now) {
    wanted_ = at;
    return ask(now);
  }

  struct Rung {
    bool due = false;                  // give the core its tick
    std::optional<Instant> alarm;      // ask the driver for another
  };
  Rung ring(Instant now) {
    if (asked_ && *asked_ <= now) asked_.reset();
    if (wanted_ && *wanted_ <= now) {
      wanted_.reset();
      return {.due = true, .alarm = std::nullopt};
    }
    return {.due = false, .alarm = wanted_ ? ask(now) : std::nullopt};
  }

 private:
  std::optional<Instant> ask(Instant now) {
    const Instant at = std::min(*wanted_, now + kFarthest);
    if (asked_ && *asked_ <= at) return std::nullopt;
    asked_ = at;
    return asked_;
  }

  std::optional<Instant> wanted_;
  std::optional<Instant> asked_;       // the earliest alarm that is pending
};

}  // namespace baton
