// exp and log in plain double arithmetic: the same bits on every machine. The C library's own choose their code by CPU, and a
// sampled token must not depend on where it was drawn. Compile without contraction (the whole project is).
//
// Accuracy, tested against long double: at most 3 units in the last place.
#pragma once

#include <bit>
#include <cstdint>

namespace baton {

// For x in [-inf, 700]; 0 below -708, where the true value is under 4e-308. No branches, so that loops over it are vectorised.
inline double portable_exp(double x) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 0x1.62e42fee00000p-1;   // 33 bits: n * kLn2High is exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kRound = 0x1.8p52;                 // adding it rounds to an integer, kept in the low bits
  constexpr double kLeast = -708.0;
  const double inside = x > kLeast ? x : kLeast;
  const double shifted = inside * kLog2E + kRound;
  const double n = shifted - kRound;
  const double r = (inside - n * kLn2High) - n * kLn2Low;   // |r| <= ln 2 / 2
  double p = 1.0 / 6227020800.0;                            // Taylor to r^13: the rest is under 2^-58
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r * r + r + 1.0;
  const std::uint64_t exponent = (std::bit_cast<std::uint64_t>(shifted) - std::bit_cast<std::uint64_t>(kRound) + 1023) << 52;
  const double result = p * std::bit_cast<double>(exponent);
  return x > kLeast ? result : 0.0;
}

// For finite normal x > 0.
inline double portable_log(double x) {
  constexpr double kLn2High = 0x1.62e42fee00000p-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  std::int64_t exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);   // [1, 2)
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double f = (m - 1.0) / (m + 1.0);   // log m = 2 atanh f, |f| < 0.172
  const double s = f * f;
  double p = 1.0 / 23.0;
  for (double odd = 21.0; odd >= 3.0; odd -= 2.0) p = p * s + 1.0 / odd;
  const double tail = 2.0 * f * s * p;
  const double e = static_cast<double>(exponent);
  return e * kLn2High + (2.0 * f + (tail + e * kLn2Low));
}

}  // namespace baton
