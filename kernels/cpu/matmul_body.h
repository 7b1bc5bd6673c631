// What the vector matrix products share: how a panel's pieces lie (weight_layout.h), and the way from a type and a number of rows that
// are known at run time to code that knows them when it is compiled. Read by one file per instruction set; everything is in an unnamed
// namespace, so that nothing compiled for one instruction set is linked into another.
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/cpu/matmul_kernels.h"

#define BATON_INLINE [[gnu::always_inline]] inline

namespace baton::kernels {
namespace {

template <class T>
BATON_INLINE T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr bool has_min(WeightType type) { return type == WeightType::q4_1 || type == WeightType::q4_k || type == WeightType::q5_k; }
// Of a panel's super-block: pieces in it, bytes of its scales, bytes of a piece's quants.
constexpr std::size_t pieces_of_block(WeightType type) { return type >= WeightType::q4_k ? 8 : 1; }
constexpr std::size_t scale_bytes(WeightType type) {
  return type == WeightType::q4_1 ? 64 : type == WeightType::q6_k ? 288 : type >= WeightType::q4_k ? 256 : 32;
}
constexpr std::size_t quant_bytes(WeightType type) {
  return type == WeightType::q8_0 ? 512 : type == WeightType::q5_k ? 320 : type == WeightType::q6_k ? 384 : 256;
}

// f.operator()<T>() of the type.
template <class F>
BATON_INLINE void with_type(WeightType type, const F& f) {
  switch (type) {
    case WeightType::f32: return f.template operator()<WeightType::f32>();
    case WeightType::f16: return f.template operator()<WeightType::f16>();
    case WeightType::bf16: return f.template operator()<WeightType::bf16>();
    case WeightType::q8_0: return f.template operator()<WeightType::q8_0>();
    case WeightType::q4_0: return f.template operator()<WeightType::q4_0>();
    case WeightType::q4_1: return f.template operator()<WeightType::q4_1>();
    case WeightType::q4_k: return f.template operator()<WeightType::q4_k>();
    case WeightType::q5_k: return f.template operator()<WeightType::q5_k>();
    case WeightType::q6_k: return f.template operator()<WeightType::q6_k>();
  }
}

// f.operator()<N>() of the rows after the last whole tile of 8; none: nothing.
template <class F>
BATON_INLINE void with_rows(std::size_t rows, const F& f) {
  switch (rows) {
    case 1: return f.template operator()<1>();
    case 2: return f.template operator()<2>();
    case 3: return f.template operator()<3>();
    case 4: return f.template operator()<4>();
    case 5: return f.template operator()<5>();
    case 6: return f.template operator()<6>();
    case 7: return f.template operator()<7>();
    default: return;
  }
}

}  // namespace
}  // namespace baton::kernels
