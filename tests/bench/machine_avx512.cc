#include "tests/bench/machine_avx512.h"

// GCC 12's own headers start a register from itself where an instruction leaves it undefined, and warn of it when inlined.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

namespace baton::bench {

// Twelve chains hide the latency; the empty assembly keeps each register's value alive and its chain apart.
#define BATON_KEEP(x) asm volatile("" : "+v"(x))
#define BATON_TWELVE(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

void int8_rounds(std::size_t rounds) {
  __m512i weight = _mm512_set1_epi8(3), x = _mm512_set1_epi8(5);
  BATON_KEEP(weight);
  BATON_KEEP(x);
#define BATON_BEGIN(i) __m512i a##i = _mm512_setzero_si512();
#define BATON_STEP(i) a##i = _mm512_dpbusd_epi32(a##i, weight, x); BATON_KEEP(a##i);
  BATON_TWELVE(BATON_BEGIN)
  for (std::size_t round = 0; round < rounds; ++round) {
    BATON_TWELVE(BATON_STEP)
  }
#undef BATON_BEGIN
#undef BATON_STEP
}

void float_rounds(std::size_t rounds) {
  __m512 weight = _mm512_set1_ps(0.5f), x = _mm512_set1_ps(0.25f);
  BATON_KEEP(weight);
  BATON_KEEP(x);
#define BATON_BEGIN(i) __m512 a##i = _mm512_setzero_ps();
#define BATON_STEP(i) a##i = _mm512_fmadd_ps(weight, x, a##i); BATON_KEEP(a##i);
  BATON_TWELVE(BATON_BEGIN)
  for (std::size_t round = 0; round < rounds; ++round) {
    BATON_TWELVE(BATON_STEP)
  }
#undef BATON_BEGIN
#undef BATON_STEP
}

namespace {

// `Streams` places are read side by side, each by whole 256 bytes; `Ahead` bytes are asked for beforehand, none when 0.
template <std::size_t Streams, std::size_t Ahead>
std::uint64_t read_streams(const std::byte* data, std::size_t bytes) {
  const std::size_t part = bytes / Streams / 256 * 256;
  __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  for (std::size_t at = 0; at < part; at += 256) {
    for (std::size_t stream = 0; stream < Streams; ++stream) {
      const std::byte* const from = data + stream * part + at;
      for (std::size_t line = 0; line < 4; ++line) {
        if (Ahead != 0) _mm_prefetch(reinterpret_cast<const char*>(from + Ahead + line * 64), _MM_HINT_T1);
        sums[line] = _mm512_add_epi64(sums[line], _mm512_load_si512(from + line * 64));
      }
    }
  }
  return static_cast<std::uint64_t>(
      _mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3]))));
}

}  // namespace

std::uint64_t read_all_avx512(const std::byte* data, std::size_t bytes, int way) {
  switch (way) {
    case 0: return read_streams<1, 0>(data, bytes);
    case 1: return read_streams<1, 4096>(data, bytes);
    case 2: return read_streams<2, 0>(data, bytes);
    default: return read_streams<8, 0>(data, bytes);
  }
}

}  // namespace baton::bench
