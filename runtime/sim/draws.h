// Random numbers of a workload: each a function of (seed, stream, index), in arithmetic that gives the same bits on every machine (basic
// operations, square roots, and runtime/sampling/portable_math.h; no libm). Private to the workload generator.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/base/random.h"
#include "runtime/sampling/portable_math.h"

namespace baton::sim {

enum class Stream : std::uint64_t { arrival = 1, period, prompt, output, row, session, continues, think, system };

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}

  // In [0, 1).
  double unit(Stream stream, std::uint64_t index, std::uint64_t attempt = 0) const {
    return draw_unit(seed_ ^ mix64(static_cast<std::uint64_t>(stream)), index, attempt);
  }
  double exponential(Stream stream, std::uint64_t index, std::uint64_t attempt = 0) const {       // mean 1
    return -portable_log(1.0 - unit(stream, index, attempt));
  }
  double gamma(Stream stream, std::uint64_t index, double shape) const;                            // mean `shape`, scale 1

 private:
  std::uint64_t seed_;
};

// The standard normal's quantile of p, 0 < p < 1, within 1.2e-9 of its value: P. J. Acklam's rational approximation.
double normal_quantile(double p);

}  // namespace baton::sim
