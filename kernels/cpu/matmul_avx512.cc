// The matrix product in AVX-512 with VNNI: a 512-bit lane is one of a panel's 16 outputs, a tile is up to 8 rows of activations.
//
// A group of weights (4 columns) is unpacked into unsigned bytes once and used by all rows of the tile. VPDPBUSD wants its weights
// unsigned: signed types are raised by 128 and the sum begins at -128 * sum(q), which the activations bring along.
// The tile's width is a template parameter and changes nothing but how many rows share an unpacked group.
// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when inlined.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <utility>

#include "kernels/cpu/matmul_body.h"

namespace baton::kernels {
namespace {

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

BATON_INLINE __m512i load_line(const std::byte* at) { return _mm512_loadu_si512(at); }
BATON_INLINE __m512 load_halves(const std::byte* at) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))); }

constexpr bool is_raised(WeightType type) { return type == WeightType::q8_0 || type == WeightType::q4_0 || type == WeightType::q6_k; }

struct Scales {
  __m512 scale[2];
  __m512 min;
};

template <WeightType T>
BATON_INLINE void load_scales(const std::byte* scales, std::size_t sub, Scales& out) {
  if constexpr (T == WeightType::q4_1) {
    out.scale[0] = load_halves(scales);
    out.min = load_halves(scales + 32);
  } else if constexpr (T == WeightType::q4_k || T == WeightType::q5_k) {
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(8 * (sub % 4)));
    const __m512i low = _mm512_srl_epi32(load_line(scales + 64), shift), middle = _mm512_srl_epi32(load_line(scales + 128), shift);
    __m512i scale, min;
    if (sub < 4) {
      scale = _mm512_and_si512(low, _mm512_set1_epi32(63));
      min = _mm512_and_si512(middle, _mm512_set1_epi32(63));
    } else {
      const __m512i high = _mm512_srl_epi32(load_line(scales + 192), shift);
      const __m512i four = _mm512_set1_epi32(15), two = _mm512_set1_epi32(48);
      scale = _mm512_or_si512(_mm512_and_si512(high, four), _mm512_and_si512(_mm512_srli_epi32(low, 2), two));
      min = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(high, 4), four), _mm512_and_si512(_mm512_srli_epi32(middle, 2), two));
    }
    out.scale[0] = _mm512_mul_ps(load_halves(scales), _mm512_cvtepi32_ps(scale));
    out.min = _mm512_xor_ps(_mm512_mul_ps(load_halves(scales + 32), _mm512_cvtepi32_ps(min)), _mm512_set1_ps(-0.0f));
  } else if constexpr (T == WeightType::q6_k) {
    const __m512 d = load_halves(scales);
    unroll<2>([&](auto s) __attribute__((always_inline)) {
      const std::byte* const from = scales + 32 + (2 * sub + s.value) * 16;
      const __m512i factor = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      out.scale[s.value] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(factor));
    });
  } else {
    out.scale[0] = load_halves(scales);
  }
}

// Bits `Bit` and up of each word's bytes, moved to bits 4 and up.
template <int Bit>
BATON_INLINE __m512i high_bits(const std::byte* line, char mask) {
  const __m512i words = load_line(line);
  const __m512i moved = Bit <= 4 ? _mm512_slli_epi32(words, Bit <= 4 ? 4 - Bit : 0) : _mm512_srli_epi32(words, Bit <= 4 ? 0 : Bit - 4);
  return _mm512_and_si512(moved, _mm512_set1_epi8(mask));
}

// Group G of a piece: for each of 16 outputs four unsigned bytes, raised by 128 for signed types.
template <WeightType T, int G>
BATON_INLINE __m512i load_group(const std::byte* lines) {
  if constexpr (T == WeightType::q8_0) return load_line(lines + G * 64);
  __m512i words = load_line(lines + G / 2 * 64);
  if constexpr (G % 2 == 1) words = _mm512_srli_epi32(words, 4);
  const __m512i four = _mm512_and_si512(words, _mm512_set1_epi8(15));
  if constexpr (T == WeightType::q4_0) return _mm512_add_epi8(four, _mm512_set1_epi8(128 - 8));
  if constexpr (T == WeightType::q5_k) return _mm512_or_si512(four, high_bits<G>(lines + 256, 16));
  if constexpr (T == WeightType::q6_k) {
    const __m512i six = _mm512_or_si512(four, high_bits<2 * (G % 4)>(lines + 256 + G / 4 * 64, 48));
    return _mm512_add_epi8(six, _mm512_set1_epi8(128 - 32));
  }
  return four;
}

// Groups [Begin, End) of a piece times a tile's N rows. All rows take a group before the next is unpacked: N sums grow side by side,
// which hides the latency, and only one group of weights is in registers.
template <WeightType T, int N, int Begin, int End>
BATON_INLINE void sum_groups(const std::byte* lines, const std::byte* x, __m512i* dot) {
  unroll<N>([&](auto r) __attribute__((always_inline)) {
    if constexpr (!is_raised(T)) {
      dot[r.value] = _mm512_setzero_si512();
    } else {
      const __m512i whole = _mm512_set1_epi32(load<int>(x + N * 40 + r.value * 4));
      const __m512i first = _mm512_set1_epi32(load<int>(x + N * 44 + r.value * 4));
      dot[r.value] = End - Begin == 8 ? whole : Begin == 0 ? first : _mm512_sub_epi32(whole, first);
    }
  });
  unroll<End - Begin>([&](auto g) __attribute__((always_inline)) {
    constexpr int group = Begin + decltype(g)::value;
    const __m512i weights = load_group<T, group>(lines);
    unroll<N>([&](auto r) __attribute__((always_inline)) {
      dot[r.value] = _mm512_dpbusd_epi32(dot[r.value], weights, _mm512_set1_epi32(load<int>(x + r.value * 32 + group * 4)));
    });
  });
}

template <int N>
BATON_INLINE void add_scaled(const __m512i* dot, __m512 scale, const std::byte* x, __m512* acc) {
  unroll<N>([&](auto r) __attribute__((always_inline)) {
    const __m512 scale_x = _mm512_set1_ps(load<float>(x + N * 32 + r.value * 4));
    acc[r.value] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r.value]), _mm512_mul_ps(scale, scale_x), acc[r.value]);
  });
}

// A piece's part of the tile's outputs.
template <WeightType T, int N>
BATON_INLINE void piece_step(const Scales& scales, const std::byte* lines, const std::byte* x, __m512* acc) {
  __m512i dot[N];
  if constexpr (T == WeightType::q6_k) {
    sum_groups<T, N, 0, 4>(lines, x, dot);
    add_scaled<N>(dot, scales.scale[0], x, acc);
    sum_groups<T, N, 4, 8>(lines, x, dot);
    add_scaled<N>(dot, scales.scale[1], x, acc);
  } else {
    sum_groups<T, N, 0, 8>(lines, x, dot);
    add_scaled<N>(dot, scales.scale[0], x, acc);
  }
  if constexpr (has_min(T)) {
    unroll<N>([&](auto r) __attribute__((always_inline)) {
      acc[r.value] = _mm512_fmadd_ps(scales.min, _mm512_set1_ps(load<float>(x + N * 36 + r.value * 4)), acc[r.value]);
    });
  }
}

BATON_INLINE void store_row(float* out, __m512 acc, __mmask16 lanes, bool accumulate) {
  if (accumulate) acc = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, out), acc);
  _mm512_mask_storeu_ps(out, lanes, acc);
}

BATON_INLINE __mmask16 lanes_of_panel(const MatmulTask& task, std::size_t panel) {
  const std::size_t left = task.output_rows - panel * 16;
  return static_cast<__mmask16>(left >= 16 ? 0xffffu : (1u << left) - 1u);
}

// A wide tile reads its weights so slowly that the hardware runs only a few lines ahead, less than the memory's latency: it asks
// for them itself. A narrow one is faster without (measured on Zen 4: 3.0 ms with, 2.5 ms without, for all weights of a 96 MB model).
constexpr std::size_t kBytesAhead = 4096;
constexpr int kRowsThatPrefetch = 3;

template <std::size_t Bytes>
BATON_INLINE void prefetch(const std::byte* at) {
  unroll<(Bytes + 63) / 64>([&](auto line) __attribute__((always_inline)) {
    _mm_prefetch(reinterpret_cast<const char*>(at + line.value * 64), _MM_HINT_T0);
  });
}

template <WeightType T, int N>
void quantized_tile(const MatmulTask& task, std::size_t panel_index, std::size_t first_row) {
  const std::byte* weights = task.panels + panel_index * task.panel_bytes;
  const std::byte* x = task.activations + first_row * task.activation_bytes;
  __m512 acc[N];
  unroll<N>([&](auto r) __attribute__((always_inline)) { acc[r.value] = _mm512_setzero_ps(); });
  float* const out = task.out + first_row * task.out_stride + panel_index * 16;
  unroll<N>([&](auto r) __attribute__((always_inline)) {
    _mm_prefetch(reinterpret_cast<const char*>(out + r.value * task.out_stride), _MM_HINT_T0);
  });
  for (std::size_t block = 0; block < task.columns / (32 * pieces_of_block(T)); ++block) {
    const std::byte* const packed_scales = weights;
    weights += scale_bytes(T);
    for (std::size_t sub = 0; sub < pieces_of_block(T); ++sub) {
      Scales scales;
      load_scales<T>(packed_scales, sub, scales);
      if constexpr (N >= kRowsThatPrefetch) prefetch<quant_bytes(T) + scale_bytes(T) / pieces_of_block(T)>(weights + kBytesAhead);
      piece_step<T, N>(scales, weights, x, acc);
      weights += quant_bytes(T);
      x += 48 * N;
    }
  }
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

// Panels outside, rows inside: a panel is read from memory once and stays in the first-level cache for all rows.
template <WeightType T>
void multiply(const MatmulTask& task) {
  constexpr bool is_float = T == WeightType::f32 || T == WeightType::f16 || T == WeightType::bf16;
  const std::size_t step = !is_float ? 1 : task.rows <= 2 ? 4 : 2;
  for (std::size_t panel = task.first_panel; panel < task.last_panel; panel += step) {
    const std::size_t panels = task.last_panel - panel < step ? task.last_panel - panel : step;
    std::size_t row = 0;
    for (; row + 8 <= task.rows; row += 8) tile<T, 8>(task, panel, panels, row);
    with_rows(task.rows - row, [&]<int N>() __attribute__((always_inline)) { tile<T, N>(task, panel, panels, row); });
  }
}

}  // namespace

void matmul_avx512(const MatmulTask& task) {
  with_type(task.type, [&]<WeightType T>() { multiply<T>(task); });
}

}  // namespace baton::kernels
