// out[r][i] = x[r][i] / sqrt(mean over i of x[r][i]^2 + epsilon) * weight[i]
//   x       [rows][columns] fp32, row r at x + r * x_stride
//   weight  [columns] fp32
//   out     as x; may be x itself
//
// Order of operations, for each row:
//   lane l of 16: acc_l = fma(x[i], x[i], acc_l) for i = l, l + 16, l + 32 ... from 0
//   sum = the lanes folded: acc_l + acc_(l+8) for l < 8, then 4, 2, 1
//   factor = 1 / sqrt(sum / columns + epsilon), each operation rounded once
//   out[i] = (x[i] * factor) * weight[i]
// Rows know nothing of each other: the same bits on every ISA and in every batch. Source: Zhang and Sennrich, 2019.
#pragma once

#include <cstddef>

#include "kernels/isa.h"

namespace baton::kernels {

struct RmsNorm {
  const float* x = nullptr;
  std::size_t x_stride = 0;  // floats
  std::size_t rows = 0;
  std::size_t columns = 0;
  const float* weight = nullptr;
  float epsilon = 0.0f;
  float* out = nullptr;
  std::size_t out_stride = 0;
};
void rms_norm(const RmsNorm& job, Isa isa);  // on the calling thread

}  // namespace baton::kernels
