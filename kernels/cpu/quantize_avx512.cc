// Activation quantisation in AVX-512; the bytes are those of quantize_scalar.cc. The largest of 32 magnitudes and sums of integers
// do not depend on their order, so reducing over lanes is free of rounding.
// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when inlined.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/matmul_kernels.h"

namespace baton::kernels {

void quantize_group_avx512(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group) {
  const __m512 finite = _mm512_set1_ps(0x1.fffffep127f);
  for (std::size_t piece = 0; piece < columns / 32; ++piece) {
    std::byte* const at = group + piece * 48 * rows;
    for (std::size_t r = 0; r < rows; ++r) {
      const float* const from = x + r * stride + piece * 32;
      const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
      const __m512 low_size = _mm512_abs_ps(low), high_size = _mm512_abs_ps(high);
      const unsigned outside = static_cast<unsigned>(_mm512_cmp_ps_mask(low_size, finite, _CMP_NLE_UQ)) |
                               static_cast<unsigned>(_mm512_cmp_ps_mask(high_size, finite, _CMP_NLE_UQ));
      const float largest = _mm512_reduce_max_ps(_mm512_max_ps(low_size, high_size));
      const bool zero = outside != 0 || largest < 0x1p-100f;
      const float scale = outside != 0 ? __builtin_nanf("") : zero ? 0.0f : largest / 127.0f;
      __m512i first = _mm512_setzero_si512(), second = first;
      if (!zero) {
        const __m512 to_quant = _mm512_set1_ps(127.0f / largest);
        first = _mm512_cvtps_epi32(_mm512_mul_ps(low, to_quant));
        second = _mm512_cvtps_epi32(_mm512_mul_ps(high, to_quant));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(at + r * 32), _mm512_cvtepi32_epi8(first));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(at + r * 32 + 16), _mm512_cvtepi32_epi8(second));
      const int sums[2] = {_mm512_reduce_add_epi32(first), _mm512_reduce_add_epi32(second)};
      const float sum = scale * static_cast<float>(sums[0] + sums[1]);
      const int bias[2] = {-128 * sums[0], -128 * sums[1]};
      std::memcpy(at + rows * 32 + r * 4, &scale, 4);
      std::memcpy(at + rows * 36 + r * 4, &sum, 4);
      std::memcpy(at + rows * 40 + r * 4, &bias[0], 4);
      std::memcpy(at + rows * 44 + r * 4, &bias[1], 4);
    }
  }
}

}  // namespace baton::kernels
