// Sixteen floats in two AVX2 registers, lanes 0..7 and 8..15; the meaning of each operation is lanes_scalar.h's. Empty for a compiler
// without AVX2.
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
  static LanesAvx2 load_bf16(const std::uint16_t* from) { return {wide_bf16(from), wide_bf16(from + 8)}; }
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

  friend LanesAvx2 operator+(LanesAvx2 a, LanesAvx2 b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  friend LanesAvx2 operator-(LanesAvx2 a, LanesAvx2 b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  friend LanesAvx2 operator*(LanesAvx2 a, LanesAvx2 b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  friend LanesAvx2 operator/(LanesAvx2 a, LanesAvx2 b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static LanesAvx2 fma(LanesAvx2 a, LanesAvx2 b, LanesAvx2 c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static LanesAvx2 max(LanesAvx2 a, LanesAvx2 b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static LanesAvx2 min(LanesAvx2 a, LanesAvx2 b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
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

  // Eight rows at a time; two bf16 columns travel as one 32-bit word and are taken apart after the words are transposed.
  static void transpose(const std::uint16_t* from, std::size_t stride, std::size_t columns, float* to, std::size_t to_stride) {
    std::size_t c = 0;
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    for (; c + 16 <= columns; c += 16) {
      for (std::size_t half = 0; half < 2; ++half) {
        __m256i words[8];
        for (std::size_t r = 0; r < 8; ++r) {
          words[r] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + (8 * half + r) * stride + c));
        }
        transpose_words(words);
        for (std::size_t w = 0; w < 8; ++w) {
          float* const at = to + (c + 2 * w) * to_stride + 8 * half;
          _mm256_storeu_ps(at, _mm256_castsi256_ps(_mm256_slli_epi32(words[w], 16)));
          _mm256_storeu_ps(at + to_stride, _mm256_castsi256_ps(_mm256_and_si256(words[w], upper)));
        }
      }
    }
    transpose_plainly<LanesAvx2>(from + c, stride, columns - c, to + c * to_stride, to_stride);
  }
  static void transpose(const float* from, std::size_t stride, std::size_t columns, float* to, std::size_t to_stride) {
    std::size_t c = 0;
    for (; c + 8 <= columns; c += 8) {
      for (std::size_t half = 0; half < 2; ++half) {
        __m256i words[8];
        for (std::size_t r = 0; r < 8; ++r) {
          words[r] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + (8 * half + r) * stride + c));
        }
        transpose_words(words);
        for (std::size_t w = 0; w < 8; ++w) _mm256_storeu_ps(to + (c + w) * to_stride + 8 * half, _mm256_castsi256_ps(words[w]));
      }
    }
    transpose_plainly<LanesAvx2>(from + c, stride, columns - c, to + c * to_stride, to_stride);
  }

 private:
  static __m256i mask(std::size_t count) {   // of the first `count` of 8 lanes
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
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
  }
  static __m256 add_power(__m256 x, __m256 shifted) {
    const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), power));
  }

  // rows[r] word c  ->  rows[c] word r
  static void transpose_words(__m256i (&rows)[8]) {
    __m256i pair[8], four[8];
    for (int i = 0; i < 4; ++i) {
      pair[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
      pair[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 2; ++i) {
      four[4 * i] = _mm256_unpacklo_epi64(pair[4 * i], pair[4 * i + 2]);
      four[4 * i + 1] = _mm256_unpackhi_epi64(pair[4 * i], pair[4 * i + 2]);
      four[4 * i + 2] = _mm256_unpacklo_epi64(pair[4 * i + 1], pair[4 * i + 3]);
      four[4 * i + 3] = _mm256_unpackhi_epi64(pair[4 * i + 1], pair[4 * i + 3]);
    }
    for (int c = 0; c < 4; ++c) {
      rows[c] = _mm256_permute2x128_si256(four[c], four[4 + c], 0x20);
      rows[4 + c] = _mm256_permute2x128_si256(four[c], four[4 + c], 0x31);
    }
  }
};

}  // namespace baton::kernels

#endif
