// What the ISA-specific halves of attention offer to attention.cc: adjacent rows of one sequence times the query heads
// of adjacent kv heads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_layout.h"

namespace baton::kernels {

inline constexpr std::size_t kAttentionChunk = 64;  // positions: part of the contract
inline constexpr std::size_t kAttentionFewQueries = 6;  // of a kv head, whose K and V are used straight from the cache

struct AttentionTile {
  KvLayout layout;
  const std::byte* arena;
  const std::uint32_t* blocks;
  std::uint32_t kv_head;         // the first one
  std::uint32_t kv_heads;        // adjacent ones
  std::uint32_t group;           // query heads that share it
  std::uint32_t first_position;  // of row 0
  std::uint32_t rows;
  const float* q;  // row 0, first head of the first group
  std::size_t q_stride;
  float* out;
  std::size_t out_stride;
  float* scratch;  // attention_scratch() floats, 64-byte aligned
};

// `queries`: rows * group * kv_heads.
std::size_t attention_scratch(std::size_t head_dim, std::size_t queries);

void attention_scalar(const AttentionTile& tile);
void attention_avx2(const AttentionTile& tile);
void attention_avx512(const AttentionTile& tile);

}  // namespace baton::kernels
