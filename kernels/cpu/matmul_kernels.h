// What the ISA-specific halves of the matrix product offer to matmul.cc and activations.cc. Nothing inline here: these headers are
// read by files compiled for several instruction sets, and an inline function compiled in one could be linked into another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/quant.h"

namespace baton::kernels {

// Panels [first_panel, last_panel) times one group of up to 8 rows after another.
struct MatmulTask {
  WeightType type;
  std::size_t columns;
  std::size_t output_rows;        // N: outputs beyond it are padding and not stored
  const std::byte* panels;        // panel 0
  std::size_t panel_bytes;
  std::size_t first_panel;
  std::size_t last_panel;
  const std::byte* activations;   // group of row 0
  std::size_t activation_bytes;   // of one row
  std::size_t rows;
  float* out;                     // row 0, output 0
  std::size_t out_stride;
  bool accumulate;
};

void matmul_scalar(const MatmulTask& task);
void matmul_avx2(const MatmulTask& task);
void matmul_avx512(const MatmulTask& task);

// One group (w <= 8 rows) of int8 activations: x[w][columns], row r at x + r * stride.
void quantize_group_scalar(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group);
void quantize_group_avx2(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group);
void quantize_group_avx512(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group);

}  // namespace baton::kernels
