// The specification of the matrix product (matmul.h), on the same packed bytes that the vector versions read.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/half.h"

namespace baton::kernels {
namespace {

constexpr std::size_t kLanes = 16;

template <class T>
T lane_of(const std::byte* array, std::size_t lane) {
  T value;
  std::memcpy(&value, array + lane * sizeof(T), sizeof(T));
  return value;
}

float half_lane(const std::byte* array, std::size_t lane) { return float_from_half(lane_of<std::uint16_t>(array, lane)); }

// `scales`: of the super-block; `sub`: which of its pieces.
void read_scales(WeightType type, const std::byte* scales, std::size_t sub, std::size_t lane, QuantPiece& piece) {
  piece.min = 0.0f;
  switch (type) {
    case WeightType::q4_1:
      piece.scale[0] = piece.scale[1] = half_lane(scales, lane);
      piece.min = half_lane(scales + 32, lane);
      return;
    case WeightType::q4_k:
    case WeightType::q5_k: {
      const auto low = lane_of<std::uint32_t>(scales + 64, lane), middle = lane_of<std::uint32_t>(scales + 128, lane);
      const auto high = lane_of<std::uint32_t>(scales + 192, lane);
      const unsigned shift = 8 * (sub % 4);
      const std::uint32_t scale = sub < 4 ? (low >> shift) & 63 : ((high >> shift) & 15) | ((low >> (shift + 2)) & 48);
      const std::uint32_t min = sub < 4 ? (middle >> shift) & 63 : ((high >> (shift + 4)) & 15) | ((middle >> (shift + 2)) & 48);
      piece.scale[0] = piece.scale[1] = half_lane(scales, lane) * static_cast<float>(scale);
      piece.min = -(half_lane(scales + 32, lane) * static_cast<float>(min));
      return;
    }
    case WeightType::q6_k:
      for (std::size_t s = 0; s < 2; ++s) {
        piece.scale[s] = half_lane(scales, lane) * static_cast<float>(lane_of<std::int8_t>(scales + 32 + (2 * sub + s) * 16, lane));
      }
      return;
    default: piece.scale[0] = piece.scale[1] = half_lane(scales, lane); return;
  }
}

void read_quants(WeightType type, const std::byte* lines, std::size_t lane, QuantPiece& piece) {
  for (std::uint32_t k = 0; k < 32; ++k) {
    const std::uint32_t g = k / 4, shift = 8 * (k % 4);
    if (type == WeightType::q8_0) {
      piece.quant[k] = static_cast<std::int16_t>(((lane_of<std::uint32_t>(lines + g * 64, lane) >> shift) & 255) - 128);
      continue;
    }
    std::uint32_t q = (lane_of<std::uint32_t>(lines + g / 2 * 64, lane) >> (shift + 4 * (g % 2))) & 15;
    if (type == WeightType::q5_k) q |= ((lane_of<std::uint32_t>(lines + 256, lane) >> (shift + g)) & 1) << 4;
    if (type == WeightType::q6_k) q |= ((lane_of<std::uint32_t>(lines + 256 + g / 4 * 64, lane) >> (shift + 2 * (g % 4))) & 3) << 4;
    const int bias = type == WeightType::q4_0 ? 8 : type == WeightType::q6_k ? 32 : 0;
    piece.quant[k] = static_cast<std::int16_t>(static_cast<int>(q) - bias);
  }
}

std::size_t quant_bytes(WeightType type) {   // of a piece, 16 rows
  return type == WeightType::q8_0 ? 512 : type == WeightType::q5_k ? 320 : type == WeightType::q6_k ? 384 : 256;
}

// One output row times the w rows of a group.
void quantized_row(const MatmulTask& task, const std::byte* panel, std::size_t lane, const std::byte* group, std::size_t w, float* acc) {
  const bool has_min = task.type == WeightType::q4_1 || task.type == WeightType::q4_k || task.type == WeightType::q5_k;
  const std::size_t halves = task.type == WeightType::q6_k ? 2 : 1;
  const std::size_t length = 32 / halves;
  const std::size_t pieces = values_of_block(task.type) / 32, block_bytes = kLanes * bytes_of_block(task.type);
  const std::size_t quants = block_bytes - pieces * quant_bytes(task.type);
  for (std::size_t index = 0; index < task.columns / 32; ++index, group += 48 * w) {
    const std::byte* const block = panel + index / pieces * block_bytes;
    QuantPiece piece;
    read_scales(task.type, block, index % pieces, lane, piece);
    read_quants(task.type, block + quants + index % pieces * quant_bytes(task.type), lane, piece);
    for (std::size_t r = 0; r < w; ++r) {
      std::int8_t x[32];
      std::memcpy(x, group + r * 32, 32);
      const auto scale_x = lane_of<float>(group + w * 32, r), sum_x = lane_of<float>(group + w * 36, r);
      for (std::size_t half = 0; half < halves; ++half) {
        std::int32_t dot = 0;
        for (std::size_t k = half * length; k < (half + 1) * length; ++k) dot += piece.quant[k] * x[k];
        acc[r] = std::fma(static_cast<float>(dot), piece.scale[half] * scale_x, acc[r]);
      }
      if (has_min) acc[r] = std::fma(piece.min, sum_x, acc[r]);
    }
  }
}

void float_row(const MatmulTask& task, const std::byte* panel, std::size_t lane, const std::byte* group, std::size_t w, float* acc) {
  for (std::size_t k = 0; k < task.columns; ++k) {
    float weight;
    switch (task.type) {
      case WeightType::f16: weight = half_lane(panel + k * kLanes * 2, lane); break;
      case WeightType::bf16: weight = float_from_bf16(lane_of<std::uint16_t>(panel + k * kLanes * 2, lane)); break;
      default: weight = lane_of<float>(panel + k * kLanes * 4, lane);
    }
    for (std::size_t r = 0; r < w; ++r) acc[r] = std::fma(weight, lane_of<float>(group, k * w + r), acc[r]);
  }
}

}  // namespace

void matmul_scalar(const MatmulTask& task) {
  for (std::size_t p = task.first_panel; p < task.last_panel; ++p) {
    const std::byte* const panel = task.panels + p * task.panel_bytes;
    for (std::size_t lane = 0; lane < kLanes && p * kLanes + lane < task.output_rows; ++lane) {
      for (std::size_t first = 0; first < task.rows; first += 8) {
        const std::size_t w = std::min<std::size_t>(8, task.rows - first);
        float acc[8] = {};
        (is_float(task.type) ? float_row : quantized_row)(task, panel, lane, task.activations + first * task.activation_bytes, w, acc);
        for (std::size_t r = 0; r < w; ++r) {
          float& out = task.out[(first + r) * task.out_stride + p * kLanes + lane];
          out = task.accumulate ? out + acc[r] : acc[r];
        }
      }
    }
  }
}

}  // namespace baton::kernels
