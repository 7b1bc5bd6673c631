#include "tests/kernels/weight_helpers.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/half.h"

namespace baton::kernels {
namespace {

void put_half(std::byte* at, float value) {
  const std::uint16_t half = half_from_float(value);
  std::memcpy(at, &half, 2);
}

std::size_t offset_of_d(WeightType type) { return type == WeightType::q6_k ? 208 : 0; }
bool has_second_half(WeightType type) { return type == WeightType::q4_1 || type == WeightType::q4_k || type == WeightType::q5_k; }

struct Piece {
  float scale = 0.0f, sum = 0.0f;
  int q[32] = {};
};

Piece quantized(const float* x) {
  Piece piece;
  float largest = 0.0f;
  for (int k = 0; k < 32; ++k) {
    if (!std::isfinite(x[k])) {
      piece.scale = piece.sum = std::nanf("");
      return piece;
    }
    largest = std::max(largest, std::fabs(x[k]));
  }
  if (largest < std::ldexp(1.0f, -100)) return piece;
  piece.scale = largest / 127.0f;
  const float inverse = 127.0f / largest;
  int sum = 0;
  for (int k = 0; k < 32; ++k) {
    const float scaled = x[k] * inverse;
    piece.q[k] = static_cast<int>(std::nearbyint(scaled));
    sum += piece.q[k];
  }
  piece.sum = piece.scale * static_cast<float>(sum);
  return piece;
}

}  // namespace

Bytes random_rows(WeightType type, std::size_t rows, std::size_t columns, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::normal_distribution<float> normal;
  Bytes bytes(rows * bytes_of_row(type, columns));
  if (is_float(type)) {
    for (std::size_t i = 0; i < rows * columns; ++i) {
      const float value = normal(random);
      std::uint16_t two = type == WeightType::f16 ? half_from_float(value) : bf16_from_float(value);
      if (type == WeightType::f32) {
        std::memcpy(bytes.data() + i * 4, &value, 4);
      } else {
        std::memcpy(bytes.data() + i * 2, &two, 2);
      }
    }
    return bytes;
  }
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  const float range = values_of_block(type) == 256 ? 0.0005f : 0.01f;   // what is left of it is in the sub-scales
  for (std::size_t at = 0; at < bytes.size(); at += bytes_of_block(type)) {
    put_half(bytes.data() + at + offset_of_d(type), normal(random) * range);
    if (has_second_half(type)) put_half(bytes.data() + at + 2, normal(random) * range * 4);
  }
  return bytes;
}

std::vector<float> random_floats(std::size_t count, std::uint64_t seed, float size) {
  std::mt19937_64 random{seed};
  std::normal_distribution<float> normal{0.0f, size};
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

float specified_product(WeightType type, const std::byte* row, const float* x, std::size_t columns) {
  float acc = 0.0f;
  if (is_float(type)) {
    std::vector<float> weights(columns);
    dequantize_row(type, row, columns, weights.data());
    for (std::size_t k = 0; k < columns; ++k) acc = std::fma(weights[k], x[k], acc);
    return acc;
  }
  for (std::size_t index = 0; index < columns / 32; ++index) {
    QuantPiece weight;
    read_piece(type, row, index, weight);
    const Piece piece = quantized(x + index * 32);
    int dots[2] = {};
    for (int k = 0; k < 32; ++k) dots[k / 16] += weight.quant[k] * piece.q[k];
    if (type == WeightType::q6_k) {
      for (int s = 0; s < 2; ++s) acc = std::fma(static_cast<float>(dots[s]), weight.scale[s] * piece.scale, acc);
    } else {
      acc = std::fma(static_cast<float>(dots[0] + dots[1]), weight.scale[0] * piece.scale, acc);
    }
    if (has_second_half(type)) acc = std::fma(weight.min, piece.sum, acc);
  }
  return acc;
}

double exact_product(WeightType type, const std::byte* row, const float* x, std::size_t columns, double& magnitude) {
  std::vector<float> weights(columns);
  dequantize_row(type, row, columns, weights.data());
  double sum = 0.0;
  magnitude = 0.0;
  for (std::size_t k = 0; k < columns; ++k) {
    sum += static_cast<double>(weights[k]) * x[k];
    magnitude += std::fabs(static_cast<double>(weights[k]) * x[k]);
  }
  return sum;
}

Packed packed(WeightType type, std::size_t columns, std::span<const WeightRows> parts, unsigned threads) {
  std::size_t rows = 0;
  for (const WeightRows& part : parts) rows += part.rows;
  Packed result;
  result.arena = std::move(*Arena::allocate(packed_bytes(type, rows, columns)));
  Parallel parallel{threads};
  result.weight = pack(type, columns, parts, result.arena.data(), parallel);
  return result;
}

}  // namespace baton::kernels
