// The types that weights have in model files, and what their bytes mean.
//
// A quantised row is a run of blocks; a block's values share scales. All scales are IEEE half, little-endian; fields in order:
//
//   q4_0   18 B /  32 values   half d; 16 B quants                            w = d * (q - 8)
//   q4_1   20 B /  32          half d; half m; 16 B quants                    w = d * q + m
//   q8_0   34 B /  32          half d; 32 int8                                w = d * q
//   q4_k  144 B / 256          half d; half dm; 12 B of 6-bit (s, m); 128 B   w = d * s[k/32] * q - dm * m[k/32]
//   q5_k  176 B / 256          as q4_k, 32 B of fifth bits before the quants  same, q of 5 bits
//   q6_k  210 B / 256          128 B low; 64 B high; 16 int8 s; half d        w = d * s[k/16] * (q - 32)
//
// Source: the GGUF format as the `gguf` package decodes it; the tests hold vectors made with that package.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::kernels {

enum class WeightType : std::uint8_t { f32, f16, bf16, q8_0, q4_0, q4_1, q4_k, q5_k, q6_k };
inline constexpr WeightType kAllWeightTypes[] = {WeightType::f32,  WeightType::f16,  WeightType::bf16, WeightType::q8_0, WeightType::q4_0,
                                                 WeightType::q4_1, WeightType::q4_k, WeightType::q5_k, WeightType::q6_k};

const char* to_string(WeightType type);
bool is_float(WeightType type);                                     // f32, f16, bf16
std::size_t values_of_block(WeightType type);                       // 1, 32 or 256; columns are a multiple of it
std::size_t bytes_of_block(WeightType type);
std::size_t bytes_of_row(WeightType type, std::size_t columns);

// One 32-value piece of a row, taken apart:  w[k] = scale[k / 16] * quant[k] + min. The factors are exact products (a half times an
// integer of at most 8 bits fits a float's mantissa). Types without a min leave it 0; without sub-scales both scales are equal.
struct QuantPiece {
  std::int16_t quant[32];   // signed where the type is: q - 8, int8, q - 32; else the unsigned q
  float scale[2];
  float min;
};

// Piece `index` (of columns / 32) of a row in file layout. Quantised types only.
void read_piece(WeightType type, const std::byte* row, std::size_t index, QuantPiece& piece);

// out[k] = the row's value at k as a float: exact for float types, else scale * quant + min, each rounded once. Any alignment.
void dequantize_row(WeightType type, const std::byte* row, std::size_t columns, float* out);

}  // namespace baton::kernels
