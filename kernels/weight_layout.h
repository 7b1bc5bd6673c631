// Weights as the matrix kernels read them: repacked once, at load, into panels of 16 output rows, and a panel into super-blocks
// of 16 of the type's blocks, which hold the same columns of the 16 rows. A vector lane is one output row, so a kernel never sums
// across lanes, and every ISA does the same operations per output.
//
//   panel 0 (rows 0..15)   [scales][quants] [scales][quants] ...      a super-block is exactly the bytes of 16 blocks, moved:
//   panel 1 (rows 16..31)  ...                                        decode is bound by reading them, in one stream
//
// Scales of a super-block, each an array over the 16 rows:
//   q8_0, q4_0    half d[16]
//   q4_1          half d[16]; half m[16]
//   q4_k, q5_k    half d[16]; half dm[16]; u32 sixes[3][16] (the file's 12 bytes of a row as three words)
//   q6_k          half d[16]; int8 s[8 pieces][2][16]
//
// Quants: piece after piece of 32 columns. A piece is eight groups of four consecutive columns, group g = columns 4g .. 4g + 3; in
// each 64-byte line a row has one 32-bit word, whose byte i belongs to column 4g + i:
//   q8_0          8 lines, line g = group g, each byte q + 128 (unsigned, as VPDPBUSD wants its first operand)
//   4 low bits    4 lines, line l = groups 2l (low halves of the bytes) and 2l + 1 (high halves)
//   q5_k          then 1 line of fifth bits: bit g of byte i
//   q6_k          then 2 lines of high bits: line g / 4, bits 2 (g % 4) of byte i
// Float types: for each column, 16 values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/parallel.h"
#include "kernels/quant.h"

namespace baton::kernels {

inline constexpr std::size_t kPanelRows = 16;

// A matrix of `rows` outputs and `columns` inputs in panels. A view: the bytes belong to an arena that outlives it.
struct PackedWeight {
  WeightType type = WeightType::f32;
  std::size_t rows = 0;
  std::size_t columns = 0;
  const std::byte* data = nullptr;

  bool present() const { return data != nullptr; }
  std::size_t panel_bytes() const { return kPanelRows * bytes_of_row(type, columns); }
  std::size_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

// Rows in the file's layout, contiguous. Several parts make one matrix, stacked in order (Q, K, V; gate, up).
struct WeightRows {
  const std::byte* data = nullptr;
  std::size_t rows = 0;
};

std::size_t packed_bytes(WeightType type, std::size_t rows, std::size_t columns);

// Repacks into `to`, which has packed_bytes(type, sum of the rows, columns) bytes, 64-byte aligned. Missing rows of the last panel are 0.
PackedWeight pack(WeightType type, std::size_t columns, std::span<const WeightRows> parts, std::byte* to, Parallel& parallel);

}  // namespace baton::kernels
