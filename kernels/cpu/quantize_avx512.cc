// Activation quantisation in AVX-512; the bytes are those of quantize_scalar.cc. The largest of 32 magnitudes and sums of integers
// do not depend on their order, so reducing over lanes rounds nothing.
// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when inlined.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/matmul_kernels.h"

namespace baton::kernels {
namespace {

#define BATON_INLINE [[gnu::always_inline]] inline

// What a piece comes to besides its quants; `whole`, `first`: -128 * the sum of q, and of the first 16.
BATON_INLINE void put_factors(std::byte* at, std::size_t rows, std::size_t r, float scale, float sum, int whole, int first) {
  std::memcpy(at + rows * 32 + r * 4, &scale, 4);
  std::memcpy(at + rows * 36 + r * 4, &sum, 4);
  std::memcpy(at + rows * 40 + r * 4, &whole, 4);
  std::memcpy(at + rows * 44 + r * 4, &first, 4);
}

// The bits of the largest magnitude. As integers floats of one sign are in order, and infinity and NaN come last.
BATON_INLINE unsigned largest_bits(__m512 low, __m512 high) {
  const __m512i no_sign = _mm512_set1_epi32(0x7fffffff);
  const __m512i sixteen = _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(low), no_sign),
                                           _mm512_and_si512(_mm512_castps_si512(high), no_sign));
  const __m256i eight = _mm256_max_epu32(_mm512_castsi512_si256(sixteen), _mm512_extracti64x4_epi64(sixteen, 1));
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  return static_cast<unsigned>(_mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1))));
}

BATON_INLINE void quantize_piece(const float* from, std::byte* at, std::size_t rows, std::size_t r) {
  constexpr unsigned kInfinity = 0x7f800000, kVanishing = (127u - 100u) << 23;   // 2^-100
  const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
  const unsigned bits = largest_bits(low, high);
  auto* const quants = reinterpret_cast<__m256i*>(at + r * 32);
  if (bits >= kInfinity || bits < kVanishing) [[unlikely]] {
    const float scale = bits >= kInfinity ? __builtin_nanf("") : 0.0f;
    _mm256_storeu_si256(quants, _mm256_setzero_si256());
    return put_factors(at, rows, r, scale, scale, 0, 0);
  }
  float largest;
  std::memcpy(&largest, &bits, 4);
  const __m128 ratios = _mm_div_ps(_mm_setr_ps(127.0f, largest, 1.0f, 1.0f), _mm_setr_ps(largest, 127.0f, 1.0f, 1.0f));
  const __m512 to_quant = _mm512_broadcastss_ps(ratios);
  const float scale = _mm_cvtss_f32(_mm_movehdup_ps(ratios));
  const __m128i first = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, to_quant)));
  const __m128i second = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, to_quant)));
  const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
  _mm256_storeu_si256(quants, bytes);
  // Sums of eight bytes, raised by 128 to be unsigned, in four 64-bit lanes: two lanes to each half of the piece.
  const __m256i sums = _mm256_sad_epu8(_mm256_xor_si256(bytes, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
  const __m128i front = _mm256_castsi256_si128(sums), all = _mm_add_epi64(front, _mm256_extracti128_si256(sums, 1));
  const __m128i pair = _mm_add_epi64(_mm_unpacklo_epi64(front, all), _mm_unpackhi_epi64(front, all));
  const int sum_of_first = _mm_cvtsi128_si32(pair) - 16 * 128, sum = _mm_extract_epi32(pair, 2) - 32 * 128;
  put_factors(at, rows, r, scale, scale * static_cast<float>(sum), -128 * sum, -128 * sum_of_first);
}

}  // namespace

void quantize_group_avx512(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group) {
  for (std::size_t piece = 0; piece < columns / 32; ++piece) {
    std::byte* const at = group + piece * 48 * rows;
    for (std::size_t r = 0; r < rows; ++r) quantize_piece(x + r * stride + piece * 32, at, rows, r);
  }
}

}  // namespace baton::kernels
