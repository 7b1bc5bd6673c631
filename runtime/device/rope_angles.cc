#include "runtime/device/rope_angles.h"

#include <array>

#include "runtime/base/hash.h"

namespace baton {
namespace {

constexpr double kTwoPi = 0x1.921fb54442d18p+2;

double power(double base, std::uint64_t exponent) {
  double result = 1.0;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return result;
}

// base^(-1/n), by Newton's method on r^n = 1/base. From 1 it meets the root from above (or, for base < 1, after one
// step), where the function is convex: it falls until rounding stops it.
double inverse_root(double base, std::uint64_t n) {
  const double count = static_cast<double>(n), target = 1.0 / base;
  double root = 1.0;
  for (int step = 0; step < 10000; ++step) {
    const double below = power(root, n - 1);
    const double next = root - (below * root - target) / (count * below);
    if (step > 0 && next >= root) break;
    root = next;
  }
  return root;
}

double scaled(double frequency, const RopeScaling& scaling, std::size_t pair) {
  switch (scaling.kind) {
    case RopeScaling::Kind::none:
      return frequency;
    case RopeScaling::Kind::linear:
      return frequency / scaling.factor;
    case RopeScaling::Kind::factors:
      return pair < scaling.factors.size() ? frequency / scaling.factors[pair] : frequency;
    case RopeScaling::Kind::llama3:
      break;
  }
  const double wavelength = kTwoPi / frequency, context = scaling.original_context;
  const double low = scaling.low_freq_factor, high = scaling.high_freq_factor, factor = scaling.factor;
  if (wavelength < context / high) return frequency;
  if (wavelength > context / low) return frequency / factor;
  const double share = (context / wavelength - low) / (high - low);
  return (1.0 - share) * frequency / factor + share * frequency;
}

}  // namespace

SineCosine sine_cosine(double angle) {
  // pi / 2 as three doubles; with fused operations the remainder is good to the last place of the angle.
  constexpr double kHigh = 0x1.921fb54442d18p+0, kMiddle = 0x1.1a62633145c07p-54, kLow = -0x1.f1976b7ed8fbcp-110;
  constexpr double kShift = 0x1.8p52;  // adding and taking it away rounds to an integer
  const double quarters = (angle * 0x1.45f306dc9c883p-1 + kShift) - kShift;
  double x = __builtin_fma(-quarters, kHigh, angle);
  x = __builtin_fma(-quarters, kMiddle, x);
  x = __builtin_fma(-quarters, kLow, x);

  // Taylor's series on |x| <= pi / 4: the first term left out is below 2^-58.
  const double square = x * x;
  double sine = 0.0, cosine = 0.0;
  for (int k = 17; k >= 3; k -= 2) sine = __builtin_fma(sine, square, 1.0) * (-1.0 / (k * (k - 1)));
  for (int k = 18; k >= 2; k -= 2) cosine = __builtin_fma(cosine, square, 1.0) * (-1.0 / (k * (k - 1)));
  sine = __builtin_fma(sine * square, x, x);
  cosine = __builtin_fma(cosine, square, 1.0);
  switch (static_cast<std::uint64_t>(quarters) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

RopeAngles::RopeAngles(const ModelSpec& spec) {
  const std::size_t pairs = spec.rope_dim / 2;
  const double ratio = pairs == 0 ? 1.0 : inverse_root(spec.rope_base, pairs);
  for (std::size_t i = 0; i < pairs; ++i) frequencies_.push_back(scaled(power(ratio, i), spec.rope_scaling, i));
}

void RopeAngles::row(std::uint32_t position, float* cos, float* sin) const {
  for (std::size_t i = 0; i < frequencies_.size(); ++i) {
    const SineCosine turn = sine_cosine(static_cast<double>(position) * frequencies_[i]);
    cos[i] = static_cast<float>(turn.cosine);
    sin[i] = static_cast<float>(turn.sine);
  }
}

std::uint64_t RopeAngles::fingerprint() const {
  std::uint64_t hash = hash64(std::as_bytes(std::span{frequencies_}));
  std::vector<float> turns(2 * pairs());
  for (const std::uint32_t position : {1u, 2u, 63u, 1000u, 8191u, 131071u}) {
    row(position, turns.data(), turns.data() + pairs());
    hash = hash64(std::as_bytes(std::span{turns}), hash);
  }
  return hash;
}

}  // namespace baton
