// The per-row operators, written once over lanes; each instruction set's file instantiates them. Operations stand in
// the order that the contracts give (rms_norm.h, rope.h, swiglu.h, kv_store.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/lane_math.h"
#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/half.h"

namespace baton::kernels {

template <class Lanes>
void rms_norm_on(const RmsNorm& job) {
  const std::size_t whole = job.columns / kLanes * kLanes, rest = job.columns - whole;
  for (std::size_t r = 0; r < job.rows; ++r) {
    const float* const x = job.x + r * job.x_stride;
    float* const out = job.out + r * job.out_stride;
    Lanes squares = Lanes::set(0.0f);
    for (std::size_t i = 0; i < whole; i += kLanes) {
      const Lanes value = Lanes::load(x + i);
      squares = Lanes::fma(value, value, squares);
    }
    if (rest != 0) {
      const Lanes value = Lanes::load_first(x + whole, rest);
      squares = Lanes::fma(value, value, squares);
    }
    const float mean = squares.sum() / static_cast<float>(job.columns);
    const Lanes factor = Lanes::set(1.0f / __builtin_sqrtf(mean + job.epsilon));
    for (std::size_t i = 0; i < whole; i += kLanes) {
      ((Lanes::load(x + i) * factor) * Lanes::load(job.weight + i)).store(out + i);
    }
    if (rest != 0) {
      const Lanes value = (Lanes::load_first(x + whole, rest) * factor) * Lanes::load_first(job.weight + whole, rest);
      value.store_first(out + whole, rest);
    }
  }
}

template <class Lanes>
void rope_on(const Rope& job) {
  for (std::size_t head = 0; head < job.heads; ++head) {
    float* const first = job.x + head * job.head_dim;
    float* const second = first + job.pairs;
    for (std::size_t i = 0; i < job.pairs; i += kLanes) {
      const std::size_t count = job.pairs - i < kLanes ? job.pairs - i : kLanes;
      const Lanes a = Lanes::load_first(first + i, count), b = Lanes::load_first(second + i, count);
      const Lanes cos = Lanes::load_first(job.cos + i, count), sin = Lanes::load_first(job.sin + i, count);
      (a * cos - b * sin).store_first(first + i, count);
      (a * sin + b * cos).store_first(second + i, count);
    }
  }
}

template <class Lanes>
void swiglu_on(const Swiglu& job) {
  const Lanes one = Lanes::set(1.0f), zero = Lanes::set(0.0f);
  for (std::size_t r = 0; r < job.rows; ++r) {
    const float* const gate = job.gate + r * job.in_stride;
    const float* const up = job.up + r * job.in_stride;
    float* const out = job.out + r * job.out_stride;
    for (std::size_t i = 0; i < job.columns; i += kLanes) {
      const std::size_t count = job.columns - i < kLanes ? job.columns - i : kLanes;
      const Lanes g = Lanes::load_first(gate + i, count);
      const Lanes value = (g / (one + exp(zero - g))) * Lanes::load_first(up + i, count);
      value.store_first(out + i, count);
    }
  }
}

template <class Lanes>
void to_bf16_on(const float* from, std::size_t count, std::uint16_t* to) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Lanes::load(from + i).store_bf16(to + i);
  for (; i < count; ++i) to[i] = bf16_from_float(from[i]);
}

template <class Lanes>
constexpr RowKernels row_kernels_on() {
  return {rms_norm_on<Lanes>, rope_on<Lanes>, swiglu_on<Lanes>, to_bf16_on<Lanes>};
}

}  // namespace baton::kernels
