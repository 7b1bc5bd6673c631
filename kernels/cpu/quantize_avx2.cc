// Activation quantisation in AVX2; the bytes are those of quantize_scalar.cc. The largest of 32 magnitudes and sums of integers
// do not depend on their order, so reducing over lanes is free of rounding.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/matmul_kernels.h"

namespace baton::kernels {
namespace {

float largest_of(__m256 values) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

int sum_of(__m256i values) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

// 16 int32 in [-127, 127] to 16 bytes, in order.
void store_bytes(std::byte* to, __m256i first, __m256i second) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}

}  // namespace

void quantize_group_avx2(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group) {
  const __m256 finite = _mm256_set1_ps(0x1.fffffep127f), sign = _mm256_set1_ps(-0.0f);
  for (std::size_t piece = 0; piece < columns / 32; ++piece) {
    std::byte* const at = group + piece * 48 * rows;
    for (std::size_t r = 0; r < rows; ++r) {
      const float* const from = x + r * stride + piece * 32;
      __m256 values[4], size = _mm256_setzero_ps(), outside = _mm256_setzero_ps();
      for (int i = 0; i < 4; ++i) {
        values[i] = _mm256_loadu_ps(from + 8 * i);
        const __m256 one = _mm256_andnot_ps(sign, values[i]);
        outside = _mm256_or_ps(outside, _mm256_cmp_ps(one, finite, _CMP_NLE_UQ));
        size = _mm256_max_ps(size, one);
      }
      const bool broken = _mm256_movemask_ps(outside) != 0;
      const float largest = largest_of(size);
      const bool zero = broken || largest < 0x1p-100f;
      const float scale = broken ? __builtin_nanf("") : zero ? 0.0f : largest / 127.0f;
      __m256i quants[4] = {};
      if (!zero) {
        const __m256 to_quant = _mm256_set1_ps(127.0f / largest);
        for (int i = 0; i < 4; ++i) quants[i] = _mm256_cvtps_epi32(_mm256_mul_ps(values[i], to_quant));
      }
      store_bytes(at + r * 32, quants[0], quants[1]);
      store_bytes(at + r * 32 + 16, quants[2], quants[3]);
      const int sums[2] = {sum_of(_mm256_add_epi32(quants[0], quants[1])), sum_of(_mm256_add_epi32(quants[2], quants[3]))};
      const float sum = scale * static_cast<float>(sums[0] + sums[1]);
      const int bias[2] = {-128 * (sums[0] + sums[1]), -128 * sums[0]};
      std::memcpy(at + rows * 32 + r * 4, &scale, 4);
      std::memcpy(at + rows * 36 + r * 4, &sum, 4);
      std::memcpy(at + rows * 40 + r * 4, &bias[0], 4);
      std::memcpy(at + rows * 44 + r * 4, &bias[1], 4);
    }
  }
}

}  // namespace baton::kernels
