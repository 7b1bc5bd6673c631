// Sixteen floats in one AVX-512 register; the meaning of each operation is lanes_scalar.h's. Empty for a compiler without AVX-512.
#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__)

// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when inlined.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/cpu/lanes_scalar.h"

namespace baton::kernels {

struct LanesAvx512 {
  __m512 v;

  static constexpr std::size_t kTileColumns = 4;

  static LanesAvx512 set(float x) { return {_mm512_set1_ps(x)}; }
  static LanesAvx512 load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static LanesAvx512 load_first(const float* from, std::size_t count) { return {_mm512_maskz_loadu_ps(mask(count), from)}; }
  static LanesAvx512 load_bf16(const std::uint16_t* from) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  void store(float* to) const { _mm512_storeu_ps(to, v); }
  void store_first(float* to, std::size_t count) const { _mm512_mask_storeu_ps(to, mask(count), v); }
  void store_bf16(std::uint16_t* to) const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __m512i quiet = _mm512_or_si512(upper, _mm512_set1_epi32(0x40));
    const __m512i out = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), quiet);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(out));
  }

  friend LanesAvx512 operator+(LanesAvx512 a, LanesAvx512 b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend LanesAvx512 operator-(LanesAvx512 a, LanesAvx512 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend LanesAvx512 operator*(LanesAvx512 a, LanesAvx512 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend LanesAvx512 operator/(LanesAvx512 a, LanesAvx512 b) { return {_mm512_div_ps(a.v, b.v)}; }
  static LanesAvx512 fma(LanesAvx512 a, LanesAvx512 b, LanesAvx512 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static LanesAvx512 max(LanesAvx512 a, LanesAvx512 b) { return {_mm512_max_ps(a.v, b.v)}; }
  static LanesAvx512 min(LanesAvx512 a, LanesAvx512 b) { return {_mm512_min_ps(a.v, b.v)}; }
  static LanesAvx512 first(std::size_t count, LanesAvx512 a, LanesAvx512 b) { return {_mm512_mask_mov_ps(b.v, mask(count), a.v)}; }
  static LanesAvx512 scale_by_power(LanesAvx512 x, LanesAvx512 shifted) {
    const __m512i power = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23);
    return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x.v), power))};
  }

  float sum() const {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  float largest() const {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  // Two bf16 columns travel as one 32-bit word and are taken apart after the words are transposed.
  static void transpose(const std::uint16_t* from, std::size_t stride, std::size_t columns, float* to, std::size_t to_stride) {
    std::size_t c = 0;
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    for (; c + 32 <= columns; c += 32) {
      __m512i words[16];
      for (std::size_t r = 0; r < 16; ++r) words[r] = _mm512_loadu_si512(from + r * stride + c);
      transpose_words(words);
      for (std::size_t w = 0; w < 16; ++w) {
        _mm512_storeu_ps(to + (c + 2 * w) * to_stride, _mm512_castsi512_ps(_mm512_slli_epi32(words[w], 16)));
        _mm512_storeu_ps(to + (c + 2 * w + 1) * to_stride, _mm512_castsi512_ps(_mm512_and_si512(words[w], upper)));
      }
    }
    transpose_plainly<LanesAvx512>(from + c, stride, columns - c, to + c * to_stride, to_stride);
  }
  static void transpose(const float* from, std::size_t stride, std::size_t columns, float* to, std::size_t to_stride) {
    std::size_t c = 0;
    for (; c + 16 <= columns; c += 16) {
      __m512i words[16];
      for (std::size_t r = 0; r < 16; ++r) words[r] = _mm512_loadu_si512(from + r * stride + c);
      transpose_words(words);
      for (std::size_t w = 0; w < 16; ++w) _mm512_storeu_ps(to + (c + w) * to_stride, _mm512_castsi512_ps(words[w]));
    }
    transpose_plainly<LanesAvx512>(from + c, stride, columns - c, to + c * to_stride, to_stride);
  }

 private:
  static __mmask16 mask(std::size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }

  // rows[r] word c  ->  rows[c] word r
  static void transpose_words(__m512i (&rows)[16]) {
    __m512i pair[16], four[16];
    for (int i = 0; i < 8; ++i) {   // words of rows 2i and 2i + 1, interleaved
      pair[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
      pair[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 4; ++i) {   // four[4i + c]: column 4k + c of rows 4i .. 4i + 3 in 128-bit lane k
      four[4 * i] = _mm512_unpacklo_epi64(pair[4 * i], pair[4 * i + 2]);
      four[4 * i + 1] = _mm512_unpackhi_epi64(pair[4 * i], pair[4 * i + 2]);
      four[4 * i + 2] = _mm512_unpacklo_epi64(pair[4 * i + 1], pair[4 * i + 3]);
      four[4 * i + 3] = _mm512_unpackhi_epi64(pair[4 * i + 1], pair[4 * i + 3]);
    }
    for (int c = 0; c < 4; ++c) {   // a transpose of 4 x 4 lanes of 128 bits
      const __m512i a = _mm512_shuffle_i32x4(four[c], four[4 + c], 0x44), b = _mm512_shuffle_i32x4(four[8 + c], four[12 + c], 0x44);
      const __m512i d = _mm512_shuffle_i32x4(four[c], four[4 + c], 0xee), e = _mm512_shuffle_i32x4(four[8 + c], four[12 + c], 0xee);
      rows[c] = _mm512_shuffle_i32x4(a, b, 0x88);
      rows[4 + c] = _mm512_shuffle_i32x4(a, b, 0xdd);
      rows[8 + c] = _mm512_shuffle_i32x4(d, e, 0x88);
      rows[12 + c] = _mm512_shuffle_i32x4(d, e, 0xdd);
    }
  }
};

}  // namespace baton::kernels

#endif
