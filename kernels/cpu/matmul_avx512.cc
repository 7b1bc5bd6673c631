// The matrix product in AVX-512 with VNNI: a 512-bit lane is one of a panel's 16 outputs, a tile is up to 8 rows of activations.
//
// A piece of weights (32 columns) is unpacked into 8 registers of unsigned bytes once and used by all rows of the tile. VPDPBUSD wants
// its weights unsigned: signed types are raised by 128 and the sum begins at -128 * sum(q), which the activations bring along.
// The tile's width is a template parameter and changes nothing but how many rows share an unpacked piece.
// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when inlined.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "kernels/cpu/matmul_kernels.h"

namespace baton::kernels {
namespace {

#define BATON_INLINE [[gnu::always_inline]] inline

template <int I>
struct Index {
  static constexpr int value = I;
};

template <class F, int... I>
BATON_INLINE void unroll_sequence(const F& f, std::integer_sequence<int, I...>) {
  (f(Index<I>{}), ...);
}

// f(Index<0>{}), f(Index<1>{}), ...: arrays of registers that are indexed so stay in registers.
template <int N, class F>
BATON_INLINE void unroll(const F& f) {
  unroll_sequence(f, std::make_integer_sequence<int, N>{});
}

template <class T>
BATON_INLINE T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

BATON_INLINE __m512i load_line(const std::byte* at) { return _mm512_load_si512(at); }
BATON_INLINE __m512 load_halves(const std::byte* at) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))); }

constexpr bool has_min(WeightType type) { return type == WeightType::q4_1 || type == WeightType::q4_k || type == WeightType::q5_k; }
constexpr bool is_raised(WeightType type) { return type == WeightType::q8_0 || type == WeightType::q4_0 || type == WeightType::q6_k; }
constexpr int quant_stride(WeightType type) {
  return type == WeightType::q8_0 ? 512 : type == WeightType::q5_k ? 320 : type == WeightType::q6_k ? 384 : 256;
}

struct Piece {
  __m512i quant[8];   // unsigned; raised by 128 for signed types
  __m512 scale[2];
  __m512 min;
};

template <WeightType T>
BATON_INLINE void load_scales(const std::byte* scales, std::size_t index, Piece& piece) {
  if constexpr (T == WeightType::q4_1) {
    piece.scale[0] = load_halves(scales + index * 64);
    piece.min = load_halves(scales + index * 64 + 32);
  } else if constexpr (T == WeightType::q4_k || T == WeightType::q5_k) {
    const std::byte* const at = scales + index / 8 * 256;
    const std::size_t sub = index % 8;
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(8 * (sub % 4)));
    const __m512i low = _mm512_srl_epi32(load_line(at + 64), shift), middle = _mm512_srl_epi32(load_line(at + 128), shift);
    __m512i scale, min;
    if (sub < 4) {
      scale = _mm512_and_si512(low, _mm512_set1_epi32(63));
      min = _mm512_and_si512(middle, _mm512_set1_epi32(63));
    } else {
      const __m512i high = _mm512_srl_epi32(load_line(at + 192), shift);
      const __m512i four = _mm512_set1_epi32(15), two = _mm512_set1_epi32(48);
      scale = _mm512_or_si512(_mm512_and_si512(high, four), _mm512_and_si512(_mm512_srli_epi32(low, 2), two));
      min = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(high, 4), four), _mm512_and_si512(_mm512_srli_epi32(middle, 2), two));
    }
    piece.scale[0] = _mm512_mul_ps(load_halves(at), _mm512_cvtepi32_ps(scale));
    piece.min = _mm512_xor_ps(_mm512_mul_ps(load_halves(at + 32), _mm512_cvtepi32_ps(min)), _mm512_set1_ps(-0.0f));
  } else if constexpr (T == WeightType::q6_k) {
    const std::byte* const at = scales + index / 8 * 288;
    const __m512 d = load_halves(at);
    unroll<2>([&](auto s) __attribute__((always_inline)) {
      const std::byte* const from = at + 32 + (2 * (index % 8) + s.value) * 16;
      const __m512i sub = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      piece.scale[s.value] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(sub));
    });
  } else {
    piece.scale[0] = load_halves(scales + index * 32);
  }
}

template <WeightType T>
BATON_INLINE void load_quants(const std::byte* lines, Piece& piece) {
  if constexpr (T == WeightType::q8_0) {
    unroll<8>([&](auto g) __attribute__((always_inline)) { piece.quant[g.value] = load_line(lines + g.value * 64); });
    return;
  }
  const __m512i low_half = _mm512_set1_epi8(15);
  unroll<4>([&](auto l) __attribute__((always_inline)) {
    const __m512i line = load_line(lines + l.value * 64);
    piece.quant[2 * l.value] = _mm512_and_si512(line, low_half);
    piece.quant[2 * l.value + 1] = _mm512_and_si512(_mm512_srli_epi32(line, 4), low_half);
  });
  if constexpr (T == WeightType::q4_0) {   // q - 8 + 128
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      piece.quant[g.value] = _mm512_add_epi8(piece.quant[g.value], _mm512_set1_epi8(120));
    });
  } else if constexpr (T == WeightType::q5_k) {
    const __m512i fifth = load_line(lines + 256);
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      constexpr int up = 4 - decltype(g)::value;
      const __m512i bit = up >= 0 ? _mm512_slli_epi32(fifth, up < 0 ? 0 : up) : _mm512_srli_epi32(fifth, up < 0 ? -up : 0);
      piece.quant[g.value] = _mm512_or_si512(piece.quant[g.value], _mm512_and_si512(bit, _mm512_set1_epi8(16)));
    });
  } else if constexpr (T == WeightType::q6_k) {   // q - 32 + 128
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      constexpr int up = 4 - 2 * (decltype(g)::value % 4);
      const __m512i high = load_line(lines + 256 + g.value / 4 * 64);
      const __m512i bits = up >= 0 ? _mm512_slli_epi32(high, up < 0 ? 0 : up) : _mm512_srli_epi32(high, up < 0 ? -up : 0);
      const __m512i six = _mm512_or_si512(piece.quant[g.value], _mm512_and_si512(bits, _mm512_set1_epi8(48)));
      piece.quant[g.value] = _mm512_add_epi8(six, _mm512_set1_epi8(96));
    });
  }
}

// One row of a tile of N: this piece's part of its 16 outputs.
template <WeightType T, int N, int R>
BATON_INLINE __m512 row_step(const Piece& piece, const std::byte* x, __m512 acc) {
  const std::byte* const quants = x + R * 32;
  __m512i first = _mm512_setzero_si512(), second = _mm512_setzero_si512();
  if constexpr (is_raised(T)) {
    first = _mm512_set1_epi32(load<int>(x + N * 40 + R * 4));
    second = _mm512_set1_epi32(load<int>(x + N * 44 + R * 4));
  }
  unroll<4>([&](auto g) __attribute__((always_inline)) {
    first = _mm512_dpbusd_epi32(first, piece.quant[g.value], _mm512_set1_epi32(load<int>(quants + g.value * 4)));
    second = _mm512_dpbusd_epi32(second, piece.quant[g.value + 4], _mm512_set1_epi32(load<int>(quants + g.value * 4 + 16)));
  });
  const __m512 scale_x = _mm512_set1_ps(load<float>(x + N * 32 + R * 4));
  if constexpr (T == WeightType::q6_k) {
    acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(first), _mm512_mul_ps(piece.scale[0], scale_x), acc);
    acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), _mm512_mul_ps(piece.scale[1], scale_x), acc);
  } else {
    const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(first, second));
    acc = _mm512_fmadd_ps(dot, _mm512_mul_ps(piece.scale[0], scale_x), acc);
  }
  if constexpr (has_min(T)) acc = _mm512_fmadd_ps(piece.min, _mm512_set1_ps(load<float>(x + N * 36 + R * 4)), acc);
  return acc;
}

BATON_INLINE void store_row(float* out, __m512 acc, __mmask16 lanes, bool accumulate) {
  if (accumulate) acc = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, out), acc);
  _mm512_mask_storeu_ps(out, lanes, acc);
}

BATON_INLINE __mmask16 lanes_of_panel(const MatmulTask& task, std::size_t panel) {
  const std::size_t left = task.output_rows - panel * 16;
  return static_cast<__mmask16>(left >= 16 ? 0xffffu : (1u << left) - 1u);
}

template <WeightType T, int N>
void quantized_tile(const MatmulTask& task, std::size_t panel_index, std::size_t first_row) {
  const std::byte* const panel = task.panels + panel_index * task.panel_bytes;
  const std::byte* lines = panel + task.panel_quants;
  const std::byte* x = task.activations + first_row * task.activation_bytes;
  __m512 acc[N];
  unroll<N>([&](auto r) __attribute__((always_inline)) { acc[r.value] = _mm512_setzero_ps(); });
  for (std::size_t index = 0; index < task.columns / 32; ++index) {
    Piece piece;
    load_scales<T>(panel, index, piece);
    load_quants<T>(lines, piece);
    unroll<N>([&](auto r) __attribute__((always_inline)) { acc[r.value] = row_step<T, N, decltype(r)::value>(piece, x, acc[r.value]); });
    lines += quant_stride(T);
    x += 48 * N;
  }
  float* const out = task.out + first_row * task.out_stride + panel_index * 16;
  unroll<N>([&](auto r) __attribute__((always_inline)) {
    store_row(out + r.value * task.out_stride, acc[r.value], lanes_of_panel(task, panel_index), task.accumulate);
  });
}

template <WeightType T>
BATON_INLINE __m512 load_column(const std::byte* panel, std::size_t k) {
  if constexpr (T == WeightType::f32) return _mm512_loadu_ps(panel + k * 64);
  if constexpr (T == WeightType::f16) return load_halves(panel + k * 32);
  const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + k * 32));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
}

// P neighbouring panels at once: with few rows there are else too few independent sums to hide the latency of an addition.
template <WeightType T, int N, int P>
void float_tile(const MatmulTask& task, std::size_t panel_index, std::size_t first_row) {
  const std::byte* const panel = task.panels + panel_index * task.panel_bytes;
  const std::byte* x = task.activations + first_row * task.activation_bytes;
  __m512 acc[N * P];
  unroll<N * P>([&](auto i) __attribute__((always_inline)) { acc[i.value] = _mm512_setzero_ps(); });
  for (std::size_t k = 0; k < task.columns; ++k, x += 4 * N) {
    unroll<P>([&](auto p) __attribute__((always_inline)) {
      constexpr int at = decltype(p)::value * N;
      const __m512 weight = load_column<T>(panel + p.value * task.panel_bytes, k);
      unroll<N>([&](auto r) __attribute__((always_inline)) {
        acc[at + r.value] = _mm512_fmadd_ps(weight, _mm512_set1_ps(load<float>(x + r.value * 4)), acc[at + r.value]);
      });
    });
  }
  unroll<P>([&](auto p) __attribute__((always_inline)) {
    constexpr int at = decltype(p)::value * N;
    float* const out = task.out + first_row * task.out_stride + (panel_index + p.value) * 16;
    unroll<N>([&](auto r) __attribute__((always_inline)) {
      store_row(out + r.value * task.out_stride, acc[at + r.value], lanes_of_panel(task, panel_index + p.value), task.accumulate);
    });
  });
}

template <WeightType T, int N>
BATON_INLINE void tile(const MatmulTask& task, std::size_t panel, std::size_t panels, std::size_t first_row) {
  if constexpr (T == WeightType::f32 || T == WeightType::f16 || T == WeightType::bf16) {
    constexpr int kPanels = N <= 2 ? 4 : 2;
    if (panels == kPanels) return float_tile<T, N, kPanels>(task, panel, first_row);
    for (std::size_t p = panel; p < panel + panels; ++p) float_tile<T, N, 1>(task, p, first_row);
  } else {
    for (std::size_t p = panel; p < panel + panels; ++p) quantized_tile<T, N>(task, p, first_row);
  }
}

template <WeightType T>
BATON_INLINE void last_tile(const MatmulTask& task, std::size_t panel, std::size_t panels, std::size_t first_row) {
  switch (task.rows - first_row) {
    case 1: return tile<T, 1>(task, panel, panels, first_row);
    case 2: return tile<T, 2>(task, panel, panels, first_row);
    case 3: return tile<T, 3>(task, panel, panels, first_row);
    case 4: return tile<T, 4>(task, panel, panels, first_row);
    case 5: return tile<T, 5>(task, panel, panels, first_row);
    case 6: return tile<T, 6>(task, panel, panels, first_row);
    case 7: return tile<T, 7>(task, panel, panels, first_row);
    default: return;
  }
}

// Panels outside, rows inside: a panel is read from memory once and stays in the first-level cache for all rows.
template <WeightType T>
void multiply(const MatmulTask& task) {
  constexpr bool is_float = T == WeightType::f32 || T == WeightType::f16 || T == WeightType::bf16;
  const std::size_t step = !is_float ? 1 : task.rows <= 2 ? 4 : 2;
  for (std::size_t panel = task.first_panel; panel < task.last_panel; panel += step) {
    const std::size_t panels = task.last_panel - panel < step ? task.last_panel - panel : step;
    std::size_t row = 0;
    for (; row + 8 <= task.rows; row += 8) tile<T, 8>(task, panel, panels, row);
    last_tile<T>(task, panel, panels, row);
  }
}

}  // namespace

void matmul_avx512(const MatmulTask& task) {
  switch (task.type) {
    case WeightType::f32: return multiply<WeightType::f32>(task);
    case WeightType::f16: return multiply<WeightType::f16>(task);
    case WeightType::bf16: return multiply<WeightType::bf16>(task);
    case WeightType::q8_0: return multiply<WeightType::q8_0>(task);
    case WeightType::q4_0: return multiply<WeightType::q4_0>(task);
    case WeightType::q4_1: return multiply<WeightType::q4_1>(task);
    case WeightType::q4_k: return multiply<WeightType::q4_k>(task);
    case WeightType::q5_k: return multiply<WeightType::q5_k>(task);
    case WeightType::q6_k: return multiply<WeightType::q6_k>(task);
  }
}

}  // namespace baton::kernels
