// The right-hand side of a matrix product, prepared once and used by every matrix that reads it.
//
// For float weights it is the floats themselves. For quantised weights each row is quantised by itself, per 32 values:
//
//   largest = max |x|;  if some x is not finite: scale = NaN, all q = 0  (the outputs of that row become NaN, and of no other row)
//   else if largest < 2^-100: scale = 0, all q = 0
//   else scale = largest / 127,  q = round to nearest even (x * (127 / largest)),  each operation rounded to float once
//   sum = scale * float(sum of q)                                             the factor of a weight's min
//
// Layout: groups of 8 rows (the last group has the rows that are left, w of them), a group after another. In a group, piece after
// piece of 32 columns:
//   int8 q[w][32]; float scale[w]; float sum[w]; int32 bias[2][w]  = -128 * the sum of q, and of the first 16
// so that a tile of w rows finds all it needs at fixed offsets. Float: for each column, w values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/memory.h"
#include "kernels/parallel.h"
#include "kernels/quant.h"

namespace baton::kernels {

inline constexpr std::size_t kTileRows = 8;

enum class ActivationKind : std::uint8_t { float32, int8 };
ActivationKind activation_kind(WeightType type);

class Activations {
 public:
  // Room for every set() with rows * columns up to `values`; false: no memory. Not needed before set(), which grows by itself.
  bool reserve(std::size_t values);

  // Takes x[rows][columns] (row r at x + r * stride). `columns` is a multiple of 32 for int8.
  void set(ActivationKind kind, const float* x, std::size_t stride, std::size_t rows, std::size_t columns, Isa isa, Parallel& parallel);

  ActivationKind kind() const { return kind_; }
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  const std::byte* data() const { return arena_.data(); }
  std::size_t bytes_of_one_row() const { return kind_ == ActivationKind::int8 ? columns_ / 32 * 48 : columns_ * sizeof(float); }
  const std::byte* group(std::size_t first_row) const { return data() + first_row * bytes_of_one_row(); }   // a multiple of kTileRows

 private:
  Arena arena_;
  ActivationKind kind_ = ActivationKind::float32;
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
};

}  // namespace baton::kernels
