// out[r][n] = sum over k of weight[n][k] * x[r][k]: the linear layers and the output head.
//   x       [rows][columns], prepared (activations.h)
//   weight  [N][columns], repacked (weight_layout.h)
//   out     [rows][N] fp32, row r at out + r * stride; must not alias x or weight
//
// Order of operations, for each element and whatever else is in the batch:
//   acc = 0
//   quantised weights, for each piece of 32 columns in ascending order:
//     acc = fma(float(dot), scale_w * scale_x, acc)    dot: the exact int32 sum of quant * q, converted to nearest;
//                                                      q6_k: twice, for the two 16 columns that share a scale
//     acc = fma(min_w, sum_x, acc)                     types with a min only: q4_1, q4_k, q5_k
//   float weights, for each column in ascending order:
//     acc = fma(float(w), x, acc)                      activations are not rounded
//   out = acc, or out + acc when it accumulates
// Hence the same bits on every ISA, for every number of rows, and on any number of threads. A NaN's payload is not part of this.
// Cost: every weight byte is read once for up to some hundred rows; 2 * rows * N * columns operations.
#pragma once

#include <cstddef>

#include "kernels/activations.h"
#include "kernels/isa.h"
#include "kernels/parallel.h"
#include "kernels/weight_layout.h"

namespace baton::kernels {

struct MatmulOut {
  float* data = nullptr;
  std::size_t stride = 0;      // floats from a row to the next; at least N
  bool accumulate = false;     // add to what is there (a residual)
};

// `x` must be of activation_kind(weight.type), with weight.columns columns. All of x's rows are computed.
void matmul(const PackedWeight& weight, const Activations& x, const MatmulOut& out, Isa isa, Parallel& parallel);

}  // namespace baton::kernels
