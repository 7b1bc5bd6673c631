// A linear layer: one or more of a model's matrices, stacked, that read the same input (Q, K and V; gate and up).
// Matrices of one type that follow each other are packed as one; others (a file may mix types) are run one after the
// other into their part of the output.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/activations.h"
#include "kernels/matmul.h"
#include "kernels/memory.h"
#include "kernels/weight_layout.h"
#include "runtime/model/loaded_model.h"

namespace baton {

// What a device's operators run on. Not shared between devices.
struct Compute {
  kernels::Isa isa;
  kernels::Parallel& parallel;
  kernels::Activations quantised, floats;
};

// A matrix as it is in the file and, where its rows are to be in another order, that order: new row i is row order[i].
struct LinearPart {
  TensorView tensor;
  std::vector<std::uint32_t> order = {};
};

kernels::WeightType weight_type(TensorType type);
std::vector<float> dequantised(const TensorView& vector);  // all values, row after row
// The order of rows that turns heads rotated as neighbours, (2i, 2i + 1) of the first rope_dim, into heads rotated as
// halves.
std::vector<std::uint32_t> halves_order(std::uint32_t heads, std::uint32_t head_dim, std::uint32_t rope_dim);

class Linear {
 public:
  Linear() = default;
  static std::size_t arena_bytes(std::span<const LinearPart> parts);
  Linear(std::span<const LinearPart> parts, kernels::Arena& arena, kernels::Parallel& parallel);

  std::size_t outputs() const { return outputs_; }
  std::size_t bytes() const { return bytes_; }

  // out[r][n] for `rows` rows of x[rows][inputs], `x_stride` floats apart.
  void run(Compute& compute, const float* x, std::size_t x_stride, std::size_t rows,
           const kernels::MatmulOut& out) const;

 private:
  struct Piece {
    kernels::PackedWeight weight;
    std::size_t first_output;
  };
  std::vector<Piece> pieces_;
  std::size_t outputs_ = 0, inputs_ = 0, bytes_ = 0;
};

}  // namespace baton
