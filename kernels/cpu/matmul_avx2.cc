// The matrix product in AVX2: a 256-bit register holds 8 of a panel's 16 outputs, so a panel is done in two halves.
//
// There is no VNNI. VPMADDUBSW multiplies unsigned weights by signed activations and adds pairs into 16 bits with saturation; sums
// never reach it: |q| <= 127 and 4-bit weights allow all 8 groups of a piece to be added in 16 bits (8 * 2 * 15 * 127 = 30480),
// 5-bit ones 4 (31496), 6-bit ones 2 (32004). For 8-bit weights the sign is moved to the activations: 2 * 128 * 127 = 32512.
#include <immintrin.h>

#include "kernels/cpu/matmul_body.h"

namespace baton::kernels {
namespace {

BATON_INLINE __m256i load_words(const std::byte* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
BATON_INLINE __m256 load_halves(const std::byte* at) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))); }

constexpr int groups_in_16_bits(WeightType type) {
  return type == WeightType::q8_0 ? 1 : type == WeightType::q5_k ? 4 : type == WeightType::q6_k ? 2 : 8;
}

struct Piece {
  __m256i quant[8];   // unsigned, but signed for q8_0
  __m256 scale[2];
  __m256 min;
};

template <WeightType T>
BATON_INLINE void load_scales(const std::byte* scales, std::size_t sub, int half, Piece& piece) {
  if constexpr (T == WeightType::q4_1) {
    piece.scale[0] = load_halves(scales + half * 16);
    piece.min = load_halves(scales + 32 + half * 16);
  } else if constexpr (T == WeightType::q4_k || T == WeightType::q5_k) {
    const std::byte* const sixes = scales + 64 + half * 32;
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(8 * (sub % 4)));
    const __m256i low = _mm256_srl_epi32(load_words(sixes), shift), middle = _mm256_srl_epi32(load_words(sixes + 64), shift);
    __m256i scale, min;
    if (sub < 4) {
      scale = _mm256_and_si256(low, _mm256_set1_epi32(63));
      min = _mm256_and_si256(middle, _mm256_set1_epi32(63));
    } else {
      const __m256i high = _mm256_srl_epi32(load_words(sixes + 128), shift);
      const __m256i four = _mm256_set1_epi32(15), two = _mm256_set1_epi32(48);
      scale = _mm256_or_si256(_mm256_and_si256(high, four), _mm256_and_si256(_mm256_srli_epi32(low, 2), two));
      min = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi32(high, 4), four), _mm256_and_si256(_mm256_srli_epi32(middle, 2), two));
    }
    piece.scale[0] = _mm256_mul_ps(load_halves(scales + half * 16), _mm256_cvtepi32_ps(scale));
    const __m256 negated = _mm256_mul_ps(load_halves(scales + 32 + half * 16), _mm256_cvtepi32_ps(min));
    piece.min = _mm256_xor_ps(negated, _mm256_set1_ps(-0.0f));
  } else if constexpr (T == WeightType::q6_k) {
    const __m256 d = load_halves(scales + half * 16);
    for (int s = 0; s < 2; ++s) {
      const std::byte* const from = scales + 32 + (2 * sub + static_cast<std::size_t>(s)) * 16 + half * 8;
      const __m256i factor = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
      piece.scale[s] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(factor));
    }
  } else {
    piece.scale[0] = load_halves(scales + half * 16);
  }
}

template <WeightType T>
BATON_INLINE void load_quants(const std::byte* lines, int half, Piece& piece) {
  lines += half * 32;
  if constexpr (T == WeightType::q8_0) {
    for (int g = 0; g < 8; ++g) piece.quant[g] = _mm256_xor_si256(load_words(lines + g * 64), _mm256_set1_epi8(-128));
    return;
  }
  const __m256i low_half = _mm256_set1_epi8(15);
  for (int l = 0; l < 4; ++l) {
    const __m256i line = load_words(lines + l * 64);
    piece.quant[2 * l] = _mm256_and_si256(line, low_half);
    piece.quant[2 * l + 1] = _mm256_and_si256(_mm256_srli_epi32(line, 4), low_half);
  }
  if constexpr (T == WeightType::q5_k) {
    const __m256i fifth = load_words(lines + 256);
    for (int g = 0; g < 8; ++g) {
      const __m256i bit = g <= 4 ? _mm256_slli_epi32(fifth, 4 - g) : _mm256_srli_epi32(fifth, g - 4);
      piece.quant[g] = _mm256_or_si256(piece.quant[g], _mm256_and_si256(bit, _mm256_set1_epi8(16)));
    }
  } else if constexpr (T == WeightType::q6_k) {
    for (int g = 0; g < 8; ++g) {
      const __m256i high = load_words(lines + 256 + g / 4 * 64);
      const int up = 4 - 2 * (g % 4);
      const __m256i bits = up >= 0 ? _mm256_slli_epi32(high, up) : _mm256_srli_epi32(high, -up);
      piece.quant[g] = _mm256_or_si256(piece.quant[g], _mm256_and_si256(bits, _mm256_set1_epi8(48)));
    }
  }
}

// The exact sum over groups [begin, end) of weight times activation, 8 outputs.
template <WeightType T, int Begin, int End>
BATON_INLINE __m256i dot(const Piece& piece, const std::byte* quants) {
  constexpr int kGroups = groups_in_16_bits(T);
  __m256i sum = _mm256_setzero_si256();
  for (int start = Begin; start < End; start += kGroups) {
    __m256i pairs = _mm256_setzero_si256();
    for (int g = start; g < start + kGroups; ++g) {
      const __m256i x = _mm256_set1_epi32(load<int>(quants + g * 4));
      if constexpr (T == WeightType::q8_0) {
        pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(piece.quant[g]), _mm256_sign_epi8(x, piece.quant[g]));
      } else {
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(piece.quant[g], x));
      }
    }
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  return sum;
}

template <WeightType T, int N>
BATON_INLINE __m256 row_step(const Piece& piece, const std::byte* x, int r, __m256 acc) {
  const std::byte* const quants = x + r * 32;
  const __m256 scale_x = _mm256_set1_ps(load<float>(x + N * 32 + r * 4));
  // The bias fields are -128 times sums of q: a shift makes -8 or -32 times the sum of them, exactly.
  const int bias[2] = {load<int>(x + N * 40 + r * 4), load<int>(x + N * 44 + r * 4)};
  if constexpr (T == WeightType::q6_k) {
    const __m256i first = _mm256_add_epi32(dot<T, 0, 4>(piece, quants), _mm256_set1_epi32(bias[1] >> 2));
    const __m256i second = _mm256_add_epi32(dot<T, 4, 8>(piece, quants), _mm256_set1_epi32((bias[0] - bias[1]) >> 2));
    acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(first), _mm256_mul_ps(piece.scale[0], scale_x), acc);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(second), _mm256_mul_ps(piece.scale[1], scale_x), acc);
  }
  __m256i sum = dot<T, 0, 8>(piece, quants);
  if constexpr (T == WeightType::q4_0) sum = _mm256_add_epi32(sum, _mm256_set1_epi32(bias[0] >> 4));
  acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(piece.scale[0], scale_x), acc);
  if constexpr (has_min(T)) acc = _mm256_fmadd_ps(piece.min, _mm256_set1_ps(load<float>(x + N * 36 + r * 4)), acc);
  return acc;
}

// `lanes`: how many of these 8 outputs are in the matrix.
BATON_INLINE void store_row(float* out, __m256 acc, std::size_t lanes, bool accumulate) {
  if (lanes >= 8) {
    _mm256_storeu_ps(out, accumulate ? _mm256_add_ps(_mm256_loadu_ps(out), acc) : acc);
    return;
  }
  alignas(32) float values[8];
  _mm256_store_ps(values, acc);
  for (std::size_t lane = 0; lane < lanes; ++lane) out[lane] = accumulate ? out[lane] + values[lane] : values[lane];
}

template <int N>
BATON_INLINE void store_tile(const MatmulTask& task, std::size_t panel_index, int half, std::size_t first_row, const __m256* acc) {
  const std::size_t output = panel_index * 16 + static_cast<std::size_t>(half) * 8;
  const std::size_t lanes = output < task.output_rows ? task.output_rows - output : 0;
  for (int r = 0; r < N; ++r) {
    store_row(task.out + (first_row + static_cast<std::size_t>(r)) * task.out_stride + output, acc[r], lanes, task.accumulate);
  }
}

template <WeightType T, int N>
void quantized_tile(const MatmulTask& task, std::size_t panel_index, std::size_t first_row, int half) {
  const std::byte* weights = task.panels + panel_index * task.panel_bytes;
  const std::byte* x = task.activations + first_row * task.activation_bytes;
  __m256 acc[N];
  for (int r = 0; r < N; ++r) acc[r] = _mm256_setzero_ps();
  for (std::size_t block = 0; block < task.columns / (32 * pieces_of_block(T)); ++block) {
    const std::byte* const scales = weights;
    weights += scale_bytes(T);
    for (std::size_t sub = 0; sub < pieces_of_block(T); ++sub) {
      Piece piece;
      load_scales<T>(scales, sub, half, piece);
      load_quants<T>(weights, half, piece);
      for (int r = 0; r < N; ++r) acc[r] = row_step<T, N>(piece, x, r, acc[r]);
      weights += quant_bytes(T);
      x += 48 * N;
    }
  }
  store_tile<N>(task, panel_index, half, first_row, acc);
}

template <WeightType T>
BATON_INLINE __m256 load_column(const std::byte* panel, std::size_t k, int half) {
  if constexpr (T == WeightType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(panel + k * 64 + half * 32));
  const std::byte* const at = panel + k * 32 + half * 16;
  if constexpr (T == WeightType::f16) return load_halves(at);
  const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
}

template <WeightType T, int N>
void float_tile(const MatmulTask& task, std::size_t panel_index, std::size_t first_row, int half) {
  const std::byte* const panel = task.panels + panel_index * task.panel_bytes;
  const std::byte* x = task.activations + first_row * task.activation_bytes;
  __m256 acc[N];
  for (int r = 0; r < N; ++r) acc[r] = _mm256_setzero_ps();
  for (std::size_t k = 0; k < task.columns; ++k, x += 4 * N) {
    const __m256 weight = load_column<T>(panel, k, half);
    for (int r = 0; r < N; ++r) acc[r] = _mm256_fmadd_ps(weight, _mm256_set1_ps(load<float>(x + r * 4)), acc[r]);
  }
  store_tile<N>(task, panel_index, half, first_row, acc);
}

template <WeightType T, int N>
BATON_INLINE void tile(const MatmulTask& task, std::size_t panel, std::size_t first_row) {
  for (int half = 0; half < 2; ++half) {
    if constexpr (T == WeightType::f32 || T == WeightType::f16 || T == WeightType::bf16) {
      float_tile<T, N>(task, panel, first_row, half);
    } else {
      quantized_tile<T, N>(task, panel, first_row, half);
    }
  }
}

template <WeightType T>
void multiply(const MatmulTask& task) {
  for (std::size_t panel = task.first_panel; panel < task.last_panel; ++panel) {
    std::size_t row = 0;
    for (; row + 8 <= task.rows; row += 8) tile<T, 8>(task, panel, row);
    with_rows(task.rows - row, [&]<int N>() __attribute__((always_inline)) { tile<T, N>(task, panel, row); });
  }
}

}  // namespace

void matmul_avx2(const MatmulTask& task) {
  with_type(task.type, [&]<WeightType T>() { multiply<T>(task); });
}

}  // namespace baton::kernels
