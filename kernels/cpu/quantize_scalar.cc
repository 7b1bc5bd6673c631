// The specification of activation quantisation (activations.h); the other ISAs give the same bytes.
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/matmul_kernels.h"

namespace baton::kernels {
namespace {

// To nearest, ties to even, for |value| <= 2^22: the addition leaves no bits after the point and so rounds.
float round_to_even(float value) {
  constexpr float kShift = 0x1.8p23f;
  return (value + kShift) - kShift;
}

struct Scales {
  float to_quant;
  float from_quant;
};

Scales scales_of(const float* x) {
  float largest = 0.0f;
  for (int k = 0; k < 32; ++k) {
    if (!(std::fabs(x[k]) <= std::numeric_limits<float>::max())) return {0.0f, std::numeric_limits<float>::quiet_NaN()};
    if (std::fabs(x[k]) > largest) largest = std::fabs(x[k]);
  }
  if (largest < 0x1p-100f) return {0.0f, 0.0f};
  return {127.0f / largest, largest / 127.0f};
}

}  // namespace

void quantize_group_scalar(const float* x, std::size_t stride, std::size_t rows, std::size_t columns, std::byte* group) {
  for (std::size_t piece = 0; piece < columns / 32; ++piece) {
    std::byte* const at = group + piece * 48 * rows;
    for (std::size_t r = 0; r < rows; ++r) {
      const float* const from = x + r * stride + piece * 32;
      const Scales scales = scales_of(from);
      std::int8_t quants[32] = {};
      std::int32_t sums[2] = {};
      if (scales.to_quant != 0.0f) {
        for (int k = 0; k < 32; ++k) {
          quants[k] = static_cast<std::int8_t>(round_to_even(from[k] * scales.to_quant));
          sums[k / 16] += quants[k];
        }
      }
      const float sum = scales.from_quant * static_cast<float>(sums[0] + sums[1]);
      const std::int32_t bias[2] = {-128 * (sums[0] + sums[1]), -128 * sums[0]};
      std::memcpy(at + r * 32, quants, 32);
      std::memcpy(at + rows * 32 + r * 4, &scales.from_quant, 4);
      std::memcpy(at + rows * 36 + r * 4, &sum, 4);
      std::memcpy(at + rows * 40 + r * 4, &bias[0], 4);
      std::memcpy(at + rows * 44 + r * 4, &bias[1], 4);
    }
  }
}

}  // namespace baton::kernels
