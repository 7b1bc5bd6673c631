// Sixteen floats in one AVX-512 register; the meaning of each operation is lanes_scalar.h's. Empty for a compiler
// without AVX-512.
#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__)

// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when
// inlined.
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
  static LanesAvx512 load_first(const float* from, std::size_t count) {
    return {_mm512_maskz_loadu_ps(mask(count), from)};
  }
  static LanesAvx512 load_wide(const float* from) { return load(from); }
  static LanesAvx512 load_wide(const std::uint16_t* from) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  void store(float* to) const { _mm512_storeu_ps(to, v); }
  void store_first(float* to, std::size_t count) const { _mm512_mask_storeu_ps(to, mask(count), v); }
  void store_bf16(std::uint16_t* to) const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
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
  static LanesAvx512 first(std::size_t count, LanesAvx512 a, LanesAvx512 b) {
    return {_mm512_mask_mov_ps(b.v, mask(count), a.v)};
  }
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

  // Two bf16 columns travel as one 32-bit word and are taken apart after the words are turned.
  [[gnu::always_inline]] static void turn(const std::uint16_t* from, std::size_t stride, LanesAvx512 (&to)[8]) {
    __m512i words[4];
    turn_words(reinterpret_cast<const std::byte*>(from), 2 * stride, words);
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    for (int w = 0; w < 4; ++w) {
      to[2 * w].v = _mm512_castsi512_ps(_mm512_slli_epi32(words[w], 16));
      to[2 * w + 1].v = _mm512_castsi512_ps(_mm512_and_si512(words[w], upper));
    }
  }
  [[gnu::always_inline]] static void turn(const float* from, std::size_t stride, LanesAvx512 (&to)[8]) {
    for (int half = 0; half < 2; ++half) {
      __m512i words[4];
      turn_words(reinterpret_cast<const std::byte*>(from + 4 * half), 4 * stride, words);
      for (int w = 0; w < 4; ++w) to[4 * half + w].v = _mm512_castsi512_ps(words[w]);
    }
  }

 private:
  static __mmask16 mask(std::size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }

  // Word c of sixteen rows: lane r of to[c] = the 32-bit word c of row r. Four rows are laid side by side as they are
  // loaded, which leaves half of a transpose to do.
  [[gnu::always_inline]] static void turn_words(const std::byte* from, std::size_t stride, __m512i (&to)[4]) {
    __m512i rows[4];
    for (std::size_t i = 0; i < 4; ++i) {  // rows[i]: rows i, 4 + i, 8 + i, 12 + i in the quarters
      const auto quarter = [&](std::size_t k) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + (4 * k + i) * stride));
      };
      rows[i] = _mm512_castsi128_si512(quarter(0));
      rows[i] = _mm512_mask_broadcast_i32x4(rows[i], 0x00f0, quarter(1));
      rows[i] = _mm512_mask_broadcast_i32x4(rows[i], 0x0f00, quarter(2));
      rows[i] = _mm512_mask_broadcast_i32x4(rows[i], 0xf000, quarter(3));
    }
    const __m512i a = _mm512_unpacklo_epi32(rows[0], rows[1]), b = _mm512_unpackhi_epi32(rows[0], rows[1]);
    const __m512i c = _mm512_unpacklo_epi32(rows[2], rows[3]), d = _mm512_unpackhi_epi32(rows[2], rows[3]);
    to[0] = _mm512_unpacklo_epi64(a, c);
    to[1] = _mm512_unpackhi_epi64(a, c);
    to[2] = _mm512_unpacklo_epi64(b, d);
    to[3] = _mm512_unpackhi_epi64(b, d);
  }
};

}  // namespace baton::kernels

#endif
