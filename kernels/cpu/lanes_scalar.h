// Sixteen floats that are worked on side by side: the vocabulary in which the row operators and attention are written
// once, as templates over it. This one is plain C++ and so the meaning of the others (lanes_avx2.h, lanes_avx512.h),
// which give the same bits.
//
// Each operation rounds once, to nearest; fma does not round its product. Reductions fold the upper half onto the lower
// one, four times: lane i takes lane i + 8, then i + 4, i + 2, i + 1. Not used here: reciprocal estimates, hardware
// bf16 conversion (it flushes subnormals), anything of libm but fma, which is exact.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/half.h"

namespace baton::kernels {

inline constexpr std::size_t kLanes = 16;

[[gnu::always_inline]] inline float widened(float x) {
  return x;
}
[[gnu::always_inline]] inline float widened(std::uint16_t bf16) {
  return float_from_bf16(bf16);
}

struct LanesScalar {
  float at[kLanes];

  static constexpr std::size_t kTileColumns = 1;  // Lanes across one register tile of attention; see attention_body.h

  template <class Make>
  static LanesScalar make(const Make& value_of) {
    LanesScalar out;
    for (std::size_t i = 0; i < kLanes; ++i) out.at[i] = value_of(i);
    return out;
  }
  static LanesScalar set(float x) {
    return make([&](std::size_t) { return x; });
  }
  static LanesScalar load(const float* from) {
    return make([&](std::size_t i) { return from[i]; });
  }
  // The first `count` (0 .. 16); the others are 0.
  static LanesScalar load_first(const float* from, std::size_t count) {
    return make([&](std::size_t i) { return i < count ? from[i] : 0.0f; });
  }
  static LanesScalar load_wide(const float* from) { return load(from); }
  static LanesScalar load_wide(const std::uint16_t* from) {
    return make([&](std::size_t i) { return float_from_bf16(from[i]); });
  }
  void store(float* to) const { store_first(to, kLanes); }
  void store_first(float* to, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) to[i] = at[i];
  }
  void store_bf16(std::uint16_t* to) const {
    for (std::size_t i = 0; i < kLanes; ++i) to[i] = bf16_from_float(at[i]);
  }

  friend LanesScalar operator+(const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return a.at[i] + b.at[i]; });
  }
  friend LanesScalar operator-(const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return a.at[i] - b.at[i]; });
  }
  friend LanesScalar operator*(const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return a.at[i] * b.at[i]; });
  }
  friend LanesScalar operator/(const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return a.at[i] / b.at[i]; });
  }
  static LanesScalar fma(const LanesScalar& a, const LanesScalar& b, const LanesScalar& c) {
    return make([&](std::size_t i) { return __builtin_fmaf(a.at[i], b.at[i], c.at[i]); });
  }
  // a where it is greater, else b: b when one of them is not a number.
  static LanesScalar max(const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return a.at[i] > b.at[i] ? a.at[i] : b.at[i]; });
  }
  static LanesScalar min(const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return a.at[i] < b.at[i] ? a.at[i] : b.at[i]; });
  }
  // a in the first `count` lanes, b in the others.
  static LanesScalar first(std::size_t count, const LanesScalar& a, const LanesScalar& b) {
    return make([&](std::size_t i) { return i < count ? a.at[i] : b.at[i]; });
  }
  // x * 2^n, where n stands in the low bits of `shifted`, as adding 1.5 * 2^23 leaves it there.
  static LanesScalar scale_by_power(const LanesScalar& x, const LanesScalar& shifted) {
    return make([&](std::size_t i) {
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x.at[i]) +
                                  (std::bit_cast<std::uint32_t>(shifted.at[i]) << 23));
    });
  }

  float sum() const {
    LanesScalar fold = *this;
    for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i) fold.at[i] = fold.at[i] + fold.at[i + width];
    }
    return fold.at[0];
  }
  float largest() const {
    LanesScalar fold = *this;
    for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i)
        fold.at[i] = fold.at[i] > fold.at[i + width] ? fold.at[i] : fold.at[i + width];
    }
    return fold.at[0];
  }

  // Eight columns of sixteen rows that lie `stride` elements apart, widened: lane r of to[c] = from[r * stride + c].
  template <class Element>
  static void turn(const Element* from, std::size_t stride, LanesScalar (&to)[8]) {
    for (std::size_t c = 0; c < 8; ++c) to[c] = make([&](std::size_t r) { return widened(from[r * stride + c]); });
  }
};

}  // namespace baton::kernels
