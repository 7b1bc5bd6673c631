// Sixteen floats in two AVX2 registers, lanes 0..7 and 8..15; the meaning of each operation is lanes_scalar.h's. Empty
// for a compiler without AVX2.
#pragma once

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

#include "kernels/cpu/lanes_scalar.h"

namespace baton::kernels {

struct LanesAvx2 {
  __m256 low, high;

  static constexpr std::size_t kTileColumns = 1;

  static LanesAvx2 set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static LanesAvx2 load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
  static LanesAvx2 load_first(const float* from, std::size_t count) {
    if (count >= 8) return {_mm256_loadu_ps(from), _mm256_maskload_ps(from + 8, mask(count - 8))};
    return {_mm256_maskload_ps(from, mask(count)), _mm256_setzero_ps()};
  }
  static LanesAvx2 load_wide(const float* from) { return load(from); }
  static LanesAvx2 load_wide(const std::uint16_t* from) { return {wide_bf16(from), wide_bf16(from + 8)}; }
  void store(float* to) const {
    _mm256_storeu_ps(to, low);
    _mm256_storeu_ps(to + 8, high);
  }
  void store_first(float* to, std::size_t count) const {
    if (count >= 8) {
      _mm256_storeu_ps(to, low);
      _mm256_maskstore_ps(to + 8, mask(count - 8), high);
    } else {
      _mm256_maskstore_ps(to, mask(count), low);
    }
  }
  void store_bf16(std::uint16_t* to) const {
    // The pack instruction works on 128-bit halves; the permutation puts the four quarters in order.
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded_bf16(low), rounded_bf16(high)), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), packed);
  }

  friend LanesAvx2 operator+(LanesAvx2 a, LanesAvx2 b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  friend LanesAvx2 operator-(LanesAvx2 a, LanesAvx2 b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  friend LanesAvx2 operator*(LanesAvx2 a, LanesAvx2 b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  friend LanesAvx2 operator/(LanesAvx2 a, LanesAvx2 b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
  static LanesAvx2 fma(LanesAvx2 a, LanesAvx2 b, LanesAvx2 c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static LanesAvx2 max(LanesAvx2 a, LanesAvx2 b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  static LanesAvx2 min(LanesAvx2 a, LanesAvx2 b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
  }
  static LanesAvx2 first(std::size_t count, LanesAvx2 a, LanesAvx2 b) {
    const std::size_t lower = count < 8 ? count : 8;
    return {_mm256_blendv_ps(b.low, a.low, _mm256_castsi256_ps(mask(lower))),
            _mm256_blendv_ps(b.high, a.high, _mm256_castsi256_ps(mask(count - lower)))};
  }
  static LanesAvx2 scale_by_power(LanesAvx2 x, LanesAvx2 shifted) {
    return {add_power(x.low, shifted.low), add_power(x.high, shifted.high)};
  }

  float sum() const {
    const __m256 eight = _mm256_add_ps(low, high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  float largest() const {
    const __m256 eight = _mm256_max_ps(low, high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  // Two bf16 columns travel as one 32-bit word and are taken apart after the words are turned.
  [[gnu::always_inline]] static void turn(const std::uint16_t* from, std::size_t stride, LanesAvx2 (&to)[8]) {
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    for (std::size_t half = 0; half < 2; ++half) {
      __m256i words[4];
      turn_words(reinterpret_cast<const std::byte*>(from + 8 * half * stride), 2 * stride, words);
      for (int w = 0; w < 4; ++w) {
        (half == 0 ? to[2 * w].low : to[2 * w].high) = _mm256_castsi256_ps(_mm256_slli_epi32(words[w], 16));
        (half == 0 ? to[2 * w + 1].low : to[2 * w + 1].high) = _mm256_castsi256_ps(_mm256_and_si256(words[w], upper));
      }
    }
  }
  [[gnu::always_inline]] static void turn(const float* from, std::size_t stride, LanesAvx2 (&to)[8]) {
    for (std::size_t half = 0; half < 2; ++half) {
      for (std::size_t side = 0; side < 2; ++side) {
        __m256i words[4];
        turn_words(reinterpret_cast<const std::byte*>(from + 8 * half * stride + 4 * side), 4 * stride, words);
        for (std::size_t w = 0; w < 4; ++w) {
          (half == 0 ? to[4 * side + w].low : to[4 * side + w].high) = _mm256_castsi256_ps(words[w]);
        }
      }
    }
  }

 private:
  static __m256i mask(std::size_t count) {  // of the first `count` of 8 lanes
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static __m256 wide_bf16(const std::uint16_t* from) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static __m256i rounded_bf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
  }
  static __m256 add_power(__m256 x, __m256 shifted) {
    const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), power));
  }

  // Word c of eight rows: lane r of to[c] = the 32-bit word c of row r.
  [[gnu::always_inline]] static void turn_words(const std::byte* from, std::size_t stride, __m256i (&to)[4]) {
    __m256i rows[4];
    for (std::size_t i = 0; i < 4; ++i) {  // rows[i]: rows i and 4 + i in the halves
      rows[i] = _mm256_inserti128_si256(
          _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * stride))),
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + (4 + i) * stride)), 1);
    }
    const __m256i a = _mm256_unpacklo_epi32(rows[0], rows[1]), b = _mm256_unpackhi_epi32(rows[0], rows[1]);
    const __m256i c = _mm256_unpacklo_epi32(rows[2], rows[3]), d = _mm256_unpackhi_epi32(rows[2], rows[3]);
    to[0] = _mm256_unpacklo_epi64(a, c);
    to[1] = _mm256_unpackhi_epi64(a, c);
    to[2] = _mm256_unpacklo_epi64(b, d);
    to[3] = _mm256_unpackhi_epi64(b, d);
  }
};

}  // namespace baton::kernels

#endif
