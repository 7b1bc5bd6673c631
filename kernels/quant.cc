#include "kernels/quant.h"

#include <cstring>

#include "kernels/half.h"
#include "kernels/require.h"

namespace baton::kernels {
namespace {

std::uint8_t byte_at(const std::byte* at, std::size_t index) { return std::to_integer<std::uint8_t>(at[index]); }

std::uint16_t u16_at(const std::byte* at) {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float half_at(const std::byte* at) { return float_from_half(u16_at(at)); }

// In a block of 32, byte j holds value j in its low half and value j + 16 in its high half.
void read_nibbles_of_block(const std::byte* quants, int bias, QuantPiece& piece) {
  for (int j = 0; j < 16; ++j) {
    piece.quant[j] = static_cast<std::int16_t>((byte_at(quants, j) & 15) - bias);
    piece.quant[j + 16] = static_cast<std::int16_t>((byte_at(quants, j) >> 4) - bias);
  }
}

// The 12 bytes of q4_k and q5_k: eight 6-bit scales and eight 6-bit mins; the last four of each lie in the upper bits of the rest.
void read_six_bit_pair(const std::byte* packed, std::size_t sub, int& scale, int& min) {
  if (sub < 4) {
    scale = byte_at(packed, sub) & 63;
    min = byte_at(packed, sub + 4) & 63;
  } else {
    scale = (byte_at(packed, sub + 4) & 15) | (byte_at(packed, sub - 4) >> 6) << 4;
    min = (byte_at(packed, sub + 4) >> 4) | (byte_at(packed, sub) >> 6) << 4;
  }
}

// Of each 32 bytes the low halves are one piece of 32 values and the high halves the next.
void read_k_piece(const std::byte* block, std::size_t sub, const std::byte* quants, const std::byte* fifth_bits, QuantPiece& piece) {
  int scale, min;
  read_six_bit_pair(block + 4, sub, scale, min);
  piece.scale[0] = piece.scale[1] = half_at(block) * static_cast<float>(scale);
  piece.min = -(half_at(block + 2) * static_cast<float>(min));
  const std::byte* const from = quants + (sub / 2) * 32;
  const unsigned shift = sub % 2 == 0 ? 0 : 4;
  for (int j = 0; j < 32; ++j) {
    int quant = (byte_at(from, j) >> shift) & 15;
    if (fifth_bits != nullptr) quant |= ((byte_at(fifth_bits, j) >> sub) & 1) << 4;
    piece.quant[j] = static_cast<std::int16_t>(quant);
  }
}

// Two halves of 128 values. In a half, piece p (of 4) has its low bits in the low (p < 2) or high halves of 32 bytes of `low`,
// and its two high bits at bit 2p of 32 bytes of `high`.
void read_q6_piece(const std::byte* block, std::size_t sub, QuantPiece& piece) {
  const std::size_t half = sub / 4, p = sub % 4;
  const std::byte* const low = block + half * 64 + (p % 2) * 32;
  const std::byte* const high = block + 128 + half * 32;
  const std::byte* const scales = block + 192 + half * 8 + p * 2;
  const float d = half_at(block + 208);
  for (int s = 0; s < 2; ++s) piece.scale[s] = d * static_cast<float>(static_cast<std::int8_t>(byte_at(scales, s)));
  piece.min = 0.0f;
  for (int j = 0; j < 32; ++j) {
    const int four = (byte_at(low, j) >> (p < 2 ? 0 : 4)) & 15;
    const int two = (byte_at(high, j) >> (2 * p)) & 3;
    piece.quant[j] = static_cast<std::int16_t>((four | two << 4) - 32);
  }
}

}  // namespace

const char* to_string(WeightType type) {
  static constexpr const char* kNames[] = {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q4_k", "q5_k", "q6_k"};
  return kNames[static_cast<int>(type)];
}

bool is_float(WeightType type) { return type <= WeightType::bf16; }

std::size_t values_of_block(WeightType type) { return is_float(type) ? 1 : type <= WeightType::q4_1 ? 32 : 256; }

std::size_t bytes_of_block(WeightType type) {
  static constexpr std::size_t kBytes[] = {4, 2, 2, 34, 18, 20, 144, 176, 210};
  return kBytes[static_cast<int>(type)];
}

std::size_t bytes_of_row(WeightType type, std::size_t columns) { return columns / values_of_block(type) * bytes_of_block(type); }

void read_piece(WeightType type, const std::byte* row, std::size_t index, QuantPiece& piece) {
  const std::size_t pieces = values_of_block(type) / 32;
  const std::size_t sub = pieces == 0 ? 0 : index % pieces;
  const std::byte* const block = row + (pieces == 0 ? 0 : index / pieces) * bytes_of_block(type);
  switch (type) {
    case WeightType::q8_0:
      piece.scale[0] = piece.scale[1] = half_at(block);
      piece.min = 0.0f;
      for (int j = 0; j < 32; ++j) piece.quant[j] = static_cast<std::int8_t>(byte_at(block + 2, j));
      return;
    case WeightType::q4_0:
      piece.scale[0] = piece.scale[1] = half_at(block);
      piece.min = 0.0f;
      return read_nibbles_of_block(block + 2, 8, piece);
    case WeightType::q4_1:
      piece.scale[0] = piece.scale[1] = half_at(block);
      piece.min = half_at(block + 2);
      return read_nibbles_of_block(block + 4, 0, piece);
    case WeightType::q4_k: return read_k_piece(block, sub, block + 16, nullptr, piece);
    case WeightType::q5_k: return read_k_piece(block, sub, block + 48, block + 16, piece);
    case WeightType::q6_k: return read_q6_piece(block, sub, piece);
    case WeightType::f32:
    case WeightType::f16:
    case WeightType::bf16: break;
  }
  BATON_REQUIRE(!is_float(type), "only quantised rows have pieces");
}

void dequantize_row(WeightType type, const std::byte* row, std::size_t columns, float* out) {
  BATON_REQUIRE(columns % values_of_block(type) == 0, "columns are a multiple of the type's block");
  switch (type) {
    case WeightType::f32: std::memcpy(out, row, columns * sizeof(float)); return;
    case WeightType::f16:
      for (std::size_t k = 0; k < columns; ++k) out[k] = half_at(row + 2 * k);
      return;
    case WeightType::bf16:
      for (std::size_t k = 0; k < columns; ++k) out[k] = float_from_bf16(u16_at(row + 2 * k));
      return;
    default: break;
  }
  QuantPiece piece;
  for (std::size_t index = 0; index < columns / 32; ++index) {
    read_piece(type, row, index, piece);
    for (int j = 0; j < 32; ++j) {
      out[index * 32 + j] = piece.scale[j / 16] * static_cast<float>(piece.quant[j]) + piece.min;
    }
  }
}

}  // namespace baton::kernels
