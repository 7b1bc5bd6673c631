#include "kernels/activations.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/require.h"

namespace baton::kernels {
namespace {

void interleave_group(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, float* group) {
  for (std::size_t k = 0; k < columns; ++k) {
    for (std::size_t r = 0; r < rows; ++r) group[k * rows + r] = x[r * stride + k];
  }
}

}  // namespace

ActivationKind activation_kind(WeightType type) { return is_float(type) ? ActivationKind::float32 : ActivationKind::int8; }

bool Activations::reserve(std::size_t values) {
  const std::size_t bytes = values * sizeof(float);   // int8 takes 1.5 bytes a value
  if (bytes <= arena_.size()) return true;
  auto arena = Arena::allocate(bytes);
  if (!arena) return false;
  arena_ = std::move(*arena);
  return true;
}

void Activations::set(ActivationKind kind, const float* x, std::size_t stride, std::size_t rows, std::size_t columns, Isa isa,
                      Parallel& parallel) {
  BATON_REQUIRE(kind == ActivationKind::float32 || columns % 32 == 0, "quantised activations come in pieces of 32 columns");
  BATON_REQUIRE(reserve(rows * columns), "there is memory for a batch's activations: reserve() says so beforehand");
  kind_ = kind;
  rows_ = rows;
  columns_ = columns;
  const auto quantize = isa == Isa::avx512 ? quantize_group_avx512 : isa == Isa::avx2 ? quantize_group_avx2 : quantize_group_scalar;
  std::byte* const to = arena_.data();
  const std::size_t row_bytes = bytes_of_one_row();
  parallel.run((rows + kTileRows - 1) / kTileRows, [&](std::size_t task, unsigned) {
    const std::size_t first = task * kTileRows;
    const std::size_t count = std::min(kTileRows, rows - first);
    std::byte* const group = to + first * row_bytes;
    if (kind == ActivationKind::int8) {
      quantize(x + first * stride, stride, count, columns, group);
    } else {
      interleave_group(x + first * stride, stride, count, columns, reinterpret_cast<float*>(group));
    }
  });
}

}  // namespace baton::kernels
