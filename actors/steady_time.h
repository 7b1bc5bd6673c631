// The driver's clock, handed to the cores as an argument.
#pragma once

#include <chrono>

#include "runtime/base/time.h"

namespace baton {

inline Instant steady_now() {
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

}  // namespace baton
