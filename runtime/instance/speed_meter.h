// How fast an instance is, by the steps that it ran: for the scheduler's forecasts (runtime/cluster/admission.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runtime/base/time.h"

namespace baton {

class SpeedMeter {
 public:
  // Steps with fewer tokens of prompts say little of what the instance can do, and do not count.
  explicit SpeedMeter(std::uint32_t least_prompt_tokens) : least_prompt_tokens_(least_prompt_tokens) {}

  void step_done(Duration took, std::uint32_t prompt_tokens, std::uint32_t decodes) {
    if (took <= Duration::zero()) return;
    const double seconds = std::chrono::duration<double>(took).count();
    if (prompt_tokens >= least_prompt_tokens_) {
      tokens_ += prompt_tokens - tokens_ / kSteps;
      seconds_ += seconds - seconds_ / kSteps;
    }
    if (decodes > 0) decode_step_ += decode_step_ == 0.0 ? seconds : (seconds - decode_step_) / kSteps;
  }

  // Of prompts, beside the decodes that were in their steps; 0: not known yet.
  std::uint64_t prefill_tokens_per_s() const { return seconds_ == 0.0 ? 0 : static_cast<std::uint64_t>(tokens_ / seconds_); }
  // The mean duration of steps with decodes; 0: not known yet.
  std::uint32_t decode_step_us() const {
    return static_cast<std::uint32_t>(std::min(decode_step_ * 1e6, double{std::numeric_limits<std::uint32_t>::max()}));
  }

 private:
  static constexpr double kSteps = 16;           // about as many of the last steps count

  std::uint32_t least_prompt_tokens_;
  double tokens_ = 0.0, seconds_ = 0.0;          // of prompts, fading
  double decode_step_ = 0.0;                     // seconds
};

}  // namespace baton
