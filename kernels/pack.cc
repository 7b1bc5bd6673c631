#include <cstring>

#include "kernels/require.h"
#include "kernels/weight_layout.h"

namespace baton::kernels {
namespace {

std::size_t quant_bytes(WeightType type) {   // of a piece of 32 columns, 16 rows
  switch (type) {
    case WeightType::q8_0: return 512;
    case WeightType::q5_k: return 320;
    case WeightType::q6_k: return 384;
    default: return 256;
  }
}

// Copies `size` bytes of one row's scale field to lane `lane` of an array over the rows.
void put_lane(std::byte* array, std::size_t lane, const std::byte* from, std::size_t size) { std::memcpy(array + lane * size, from, size); }

void pack_scales(WeightType type, const std::byte* block, std::size_t lane, std::byte* to) {
  switch (type) {
    case WeightType::q8_0:
    case WeightType::q4_0: return put_lane(to, lane, block, 2);
    case WeightType::q4_1:
      put_lane(to, lane, block, 2);
      return put_lane(to + 32, lane, block + 2, 2);
    case WeightType::q4_k:
    case WeightType::q5_k:
      put_lane(to, lane, block, 2);
      put_lane(to + 32, lane, block + 2, 2);
      for (std::size_t w = 0; w < 3; ++w) put_lane(to + 64 + w * 64, lane, block + 4 + w * 4, 4);
      return;
    case WeightType::q6_k:
      put_lane(to, lane, block + 208, 2);
      for (std::size_t s = 0; s < 16; ++s) put_lane(to + 32 + s * 16, lane, block + 192 + s, 1);
      return;
    default: return;
  }
}

void put_word(std::byte* line, std::size_t lane, std::uint32_t word) { std::memcpy(line + lane * 4, &word, 4); }

// `quant`: unsigned, 8, 4, 5 or 6 bits each.
void pack_quants(WeightType type, const std::uint8_t* quant, std::size_t lane, std::byte* lines) {
  if (type == WeightType::q8_0) {
    for (std::size_t g = 0; g < 8; ++g) {
      std::uint32_t word;
      std::memcpy(&word, quant + 4 * g, 4);
      put_word(lines + g * 64, lane, word);
    }
    return;
  }
  std::uint32_t low[4] = {}, high[2] = {};
  for (std::uint32_t k = 0; k < 32; ++k) {
    const std::uint32_t g = k / 4, shift = 8 * (k % 4), q = quant[k];
    low[g / 2] |= (q & 15) << (shift + 4 * (g % 2));
    if (type == WeightType::q5_k) high[0] |= (q >> 4) << (shift + g);
    if (type == WeightType::q6_k) high[g / 4] |= (q >> 4) << (shift + 2 * (g % 4));
  }
  for (std::size_t l = 0; l < 4; ++l) put_word(lines + l * 64, lane, low[l]);
  if (type == WeightType::q5_k) put_word(lines + 256, lane, high[0]);
  if (type == WeightType::q6_k) {
    put_word(lines + 256, lane, high[0]);
    put_word(lines + 320, lane, high[1]);
  }
}

int unsigned_bias(WeightType type) {
  switch (type) {
    case WeightType::q8_0: return 128;
    case WeightType::q4_0: return 8;
    case WeightType::q6_k: return 32;
    default: return 0;
  }
}

void pack_row(WeightType type, const std::byte* row, std::size_t columns, std::size_t lane, std::byte* panel) {
  const std::size_t block_bytes = bytes_of_block(type);
  if (is_float(type)) {
    for (std::size_t k = 0; k < columns; ++k) put_lane(panel + k * kPanelRows * block_bytes, lane, row + k * block_bytes, block_bytes);
    return;
  }
  const std::size_t pieces = values_of_block(type) / 32;
  const std::size_t scale_bytes = kPanelRows * block_bytes - pieces * quant_bytes(type);
  const int bias = unsigned_bias(type);
  for (std::size_t b = 0; b < columns / values_of_block(type); ++b) {
    std::byte* const to = panel + b * kPanelRows * block_bytes;
    pack_scales(type, row + b * block_bytes, lane, to);
    for (std::size_t sub = 0; sub < pieces; ++sub) {
      QuantPiece piece;
      std::uint8_t quant[32];
      read_piece(type, row, b * pieces + sub, piece);
      for (int k = 0; k < 32; ++k) quant[k] = static_cast<std::uint8_t>(piece.quant[k] + bias);
      pack_quants(type, quant, lane, to + scale_bytes + sub * quant_bytes(type));
    }
  }
}

const std::byte* find_row(std::span<const WeightRows> parts, std::size_t row, std::size_t row_bytes) {
  for (const WeightRows& part : parts) {
    if (row < part.rows) return part.data + row * row_bytes;
    row -= part.rows;
  }
  return nullptr;
}

}  // namespace

std::size_t packed_bytes(WeightType type, std::size_t rows, std::size_t columns) {
  return (rows + kPanelRows - 1) / kPanelRows * kPanelRows * bytes_of_row(type, columns);
}

PackedWeight pack(WeightType type, std::size_t columns, std::span<const WeightRows> parts, std::byte* to, Parallel& parallel) {
  BATON_REQUIRE(columns % values_of_block(type) == 0, "columns are a multiple of the type's block");
  BATON_REQUIRE(reinterpret_cast<std::uintptr_t>(to) % 64 == 0, "a matrix begins on a cache line");
  PackedWeight weight{.type = type, .columns = columns, .data = to};
  for (const WeightRows& part : parts) weight.rows += part.rows;
  const std::size_t row_bytes = bytes_of_row(type, columns);
  constexpr std::size_t kPanelsOfTask = 8;
  parallel.run((weight.panels() + kPanelsOfTask - 1) / kPanelsOfTask, [&](std::size_t task, unsigned) {
    for (std::size_t p = task * kPanelsOfTask; p < weight.panels() && p < (task + 1) * kPanelsOfTask; ++p) {
      std::byte* const panel = to + p * weight.panel_bytes();
      std::memset(panel, 0, weight.panel_bytes());
      for (std::size_t lane = 0; lane < kPanelRows && p * kPanelRows + lane < weight.rows; ++lane) {
        pack_row(type, find_row(parts, p * kPanelRows + lane, row_bytes), columns, lane, panel);
      }
    }
  });
  return weight;
}

}  // namespace baton::kernels
