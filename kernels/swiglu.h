// out[r][i] = silu(gate[r][i]) * up[r][i], silu(x) = x / (1 + e^-x)
//   gate, up  [rows][columns] fp32, rows `in_stride` apart (both halves of one matrix product)
//   out       [rows][columns] fp32, rows `out_stride` apart; must not overlap gate or up
//
// Order of operations: (gate / (1 + exp(0 - gate))) * up, each rounded once, with the exp of cpu/lane_math.h, written
// there in full. Source: Shazeer, GLU Variants Improve Transformer, 2020.
#pragma once

#include <cstddef>

#include "kernels/isa.h"

namespace baton::kernels {

struct Swiglu {
  const float* gate = nullptr;
  const float* up = nullptr;
  std::size_t in_stride = 0;  // floats
  std::size_t rows = 0;
  std::size_t columns = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};
void swiglu(const Swiglu& job, Isa isa);  // on the calling thread

}  // namespace baton::kernels
