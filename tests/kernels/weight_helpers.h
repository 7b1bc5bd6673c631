// Random matrices in the files' layouts, and the matrix product written out from the files' layouts alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/memory.h"
#include "kernels/parallel.h"
#include "kernels/quant.h"
#include "kernels/weight_layout.h"

namespace baton::kernels {

using Bytes = std::vector<std::byte>;

// Quants of all values; scales around 0.01, of both signs where the type allows it.
Bytes random_rows(WeightType type, std::size_t rows, std::size_t columns, std::uint64_t seed);
std::vector<float> random_floats(std::size_t count, std::uint64_t seed, float size = 1.0f);

// What matmul.h says, one output, from a row in file layout and an unprepared x.
float specified_product(WeightType type, const std::byte* row, const float* x, std::size_t columns);
// The exact sum in double of dequantised weight times x, and of their magnitudes: what an ideal machine gives.
double exact_product(WeightType type, const std::byte* row, const float* x, std::size_t columns, double& magnitude);

struct Packed {
  Arena arena;
  PackedWeight weight;
};
Packed packed(WeightType type, std::size_t columns, std::span<const WeightRows> parts, unsigned threads = 1);

}  // namespace baton::kernels
