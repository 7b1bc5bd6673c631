#include "runtime/sim/draws.h"

#include <span>

namespace baton::sim {
namespace {

double polynomial(std::span<const double> highest_first, double x) {
  double value = 0;
  for (const double coefficient : highest_first) value = value * x + coefficient;
  return value;
}

// Of the lower tail, by q = sqrt(-2 log p).
double tail_quantile(double p) {
  constexpr double kOver[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                              -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double kUnder[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1.0};
  const double q = std::sqrt(-2.0 * portable_log(p));
  return polynomial(kOver, q) / polynomial(kUnder, q);
}

}  // namespace

double normal_quantile(double p) {
  constexpr double kTail = 0.02425;
  if (p < kTail) return tail_quantile(p);
  if (p > 1.0 - kTail) return -tail_quantile(1.0 - p);
  constexpr double kOver[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                              1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double kUnder[] = {-5.447609879822406e+01, 1.615858368580409e+02,  -1.556989798598866e+02,
                               6.680131188771972e+01,  -1.328068155288572e+01, 1.0};
  const double q = p - 0.5;
  return q * polynomial(kOver, q * q) / polynomial(kUnder, q * q);
}

// Marsaglia and Tsang (2000): a cubed normal, accepted or drawn again; below shape 1 from shape + 1, times u^(1/shape).
double Draws::gamma(Stream stream, std::uint64_t index, double shape) const {
  const bool boosted = shape < 1;
  const double d = (boosted ? shape + 1 : shape) - 1.0 / 3.0, c = 1 / std::sqrt(9 * d);
  double value = d;
  for (std::uint64_t attempt = 0; attempt < 1000; ++attempt) {         // about 1 in 20 is refused
    const double x = normal_quantile(unit(stream, index, 3 * attempt + 1) + 0x1.0p-54);
    const double cubed = (1 + c * x) * (1 + c * x) * (1 + c * x);
    if (cubed <= 0) continue;
    const double u = 1.0 - unit(stream, index, 3 * attempt + 2);
    value = d * cubed;
    if (portable_log(u) < 0.5 * x * x + d - value + d * portable_log(cubed)) break;
  }
  return boosted ? value * portable_exp(portable_log(1.0 - unit(stream, index)) / shape) : value;
}

}  // namespace baton::sim
