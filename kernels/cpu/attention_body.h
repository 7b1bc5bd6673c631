// Attention of one tile (attention_kernels.h), written once over lanes. The order of operations is attention.h's.
//
// The keys of a chunk are turned so that a lane is a position: keys[d][64]; the values stay as they are, widened: values[64][padded d].
// Both are made once and used by all the tile's queries. A query is a (row, head) pair; queries of a row are adjacent.
//
//   scratch   keys [head_dim][64] | values [64][padded] | then for each query: scaled q [padded] | scores [64] | acc [padded] | total [16]
//             | largest [1]
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/lane_math.h"
#include "kernels/cpu/lanes_scalar.h"

namespace baton::kernels {

template <class Lanes>
struct TileAttention {
  static constexpr std::size_t kColumns = Lanes::kTileColumns;   // Lanes of a register tile
  static constexpr std::size_t kQueries = 6;                     // queries of a register tile
  static constexpr std::size_t kChunk = kAttentionChunk;

  const AttentionTile& tile;
  std::size_t dim, padded, queries;
  float *keys, *values, *q, *scores, *acc, *total, *largest;

  explicit TileAttention(const AttentionTile& of)
      : tile(of), dim(of.layout.head_dim), padded((dim + kLanes - 1) / kLanes * kLanes), queries(std::size_t{of.rows} * of.group) {
    keys = tile.scratch;
    values = keys + dim * kChunk;
    q = values + kChunk * padded;
    scores = q + queries * padded;
    acc = scores + queries * kChunk;
    total = acc + queries * padded;
    largest = total + queries * kLanes;
  }

  void run() {
    begin();
    const std::size_t last = std::size_t{tile.first_position} + tile.rows - 1;
    for (std::size_t base = 0; base <= last; base += kChunk) {
      const std::size_t count = last + 1 - base < kChunk ? last + 1 - base : kChunk;
      const std::size_t first_row = base > tile.first_position ? base - tile.first_position : 0;   // earlier rows end before the chunk
      tile.layout.type == KvType::bf16 ? load_chunk<std::uint16_t>(base, count) : load_chunk<float>(base, count);
      score(first_row * tile.group, count);
      for (std::size_t query = first_row * tile.group; query < queries; ++query) weigh(query, seen(query, base));
      gather(first_row * tile.group, base);
    }
    finish();
  }

  // Positions of the chunk at `base` that a query attends to, of 1 .. 64.
  std::size_t seen(std::size_t query, std::size_t base) const {
    const std::size_t end = std::size_t{tile.first_position} + query / tile.group + 1 - base;
    return end < kChunk ? end : kChunk;
  }

  void begin() {
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(dim));
    for (std::size_t query = 0; query < queries; ++query) {
      const float* const from = tile.q + query / tile.group * tile.q_stride + query % tile.group * dim;
      for (std::size_t d = 0; d < dim; d += kLanes) {
        (Lanes::load_first(from + d, dim - d < kLanes ? dim - d : kLanes) * Lanes::set(scale)).store(q + query * padded + d);
      }
      for (std::size_t d = 0; d < padded; d += kLanes) Lanes::set(0.0f).store(acc + query * padded + d);
      Lanes::set(0.0f).store(total + query * kLanes);
      largest[query] = -__builtin_inff();
    }
  }

  // Sixteen positions lie in one block. Positions after the last row's are read with them, unwritten as they may be, and not used.
  template <class Element>
  void load_chunk(std::size_t base, std::size_t count) {
    const auto* const arena = reinterpret_cast<const Element*>(tile.arena);
    for (std::size_t j = 0; j < count; j += kLanes) {
      const auto position = static_cast<std::uint32_t>(base + j);
      const std::uint32_t block = tile.blocks[position / tile.layout.block_tokens], token = position % tile.layout.block_tokens;
      Lanes::transpose(arena + tile.layout.k_element(block, tile.kv_head, token), dim, dim, keys + j, kChunk);
      const Element* const from = arena + tile.layout.v_element(block, tile.kv_head, token);
      const std::size_t rows = count - j < kLanes ? count - j : kLanes;
      for (std::size_t r = 0; r < rows; ++r) widen(from + r * dim, values + (j + r) * padded);
    }
  }
  void widen(const std::uint16_t* from, float* to) const {
    std::size_t d = 0;
    for (; d + kLanes <= dim; d += kLanes) Lanes::load_bf16(from + d).store(to + d);
    for (; d < padded; ++d) to[d] = d < dim ? float_from_bf16(from[d]) : 0.0f;
  }
  void widen(const float* from, float* to) const {
    for (std::size_t d = 0; d < padded; d += kLanes) Lanes::load_first(from + d, dim - d < kLanes ? dim - d : kLanes).store(to + d);
  }

  template <std::size_t Queries, std::size_t Columns>
  void score_tile(std::size_t query, std::size_t j) const {
    Lanes sums[Queries][Columns];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c] = Lanes::set(0.0f);
    }
    const float* key = keys + j;
    const float* one = q + query * padded;
    for (std::size_t d = 0; d < dim; ++d, key += kChunk, ++one) {
      Lanes k[Columns];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) k[c] = Lanes::load(key + c * kLanes);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < Queries; ++r) {
        const Lanes factor = Lanes::set(one[r * padded]);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < Columns; ++c) sums[r][c] = Lanes::fma(factor, k[c], sums[r][c]);
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c].store(scores + (query + r) * kChunk + j + c * kLanes);
    }
  }
  template <std::size_t Queries>
  void score_queries(std::size_t query, std::size_t count) const {
    std::size_t j = 0;
    for (; j + kColumns * kLanes <= count; j += kColumns * kLanes) score_tile<Queries, kColumns>(query, j);
    for (; j < count; j += kLanes) score_tile<Queries, 1>(query, j);
  }
  void score(std::size_t query, std::size_t count) const {
    for (; query + kQueries <= queries; query += kQueries) score_queries<kQueries>(query, count);
    switch (queries - query) {
      case 5: return score_queries<5>(query, count);
      case 4: return score_queries<4>(query, count);
      case 3: return score_queries<3>(query, count);
      case 2: return score_queries<2>(query, count);
      case 1: return score_queries<1>(query, count);
      default: return;
    }
  }

  // Scores become weights; what was summed before is corrected when a larger score has come.
  void weigh(std::size_t query, std::size_t count) const {
    float* const score = scores + query * kChunk;
    Lanes most = Lanes::set(largest[query]);
    for (std::size_t j = 0; j < count; j += kLanes) {
      const Lanes s = Lanes::load(score + j);
      most = Lanes::max(most, count - j < kLanes ? Lanes::first(count - j, s, most) : s);
    }
    const float before = largest[query], now = most.largest();
    largest[query] = now;
    Lanes sum = Lanes::load(total + query * kLanes);
    if (!(now == before)) {   // else the correction is exactly 1
      const Lanes correction = exp(Lanes::set(before - now));
      sum = sum * correction;
      float* const values_so_far = acc + query * padded;
      for (std::size_t d = 0; d < padded; d += kLanes) (Lanes::load(values_so_far + d) * correction).store(values_so_far + d);
    }
    for (std::size_t j = 0; j < count; j += kLanes) {
      Lanes weight = exp(Lanes::load(score + j) - Lanes::set(now));
      if (count - j < kLanes) weight = Lanes::first(count - j, weight, Lanes::set(0.0f));
      weight.store(score + j);
      sum = sum + weight;
    }
    sum.store(total + query * kLanes);
  }

  template <std::size_t Queries, std::size_t Columns>
  void gather_tile(std::size_t query, std::size_t d, std::size_t from, std::size_t to) const {
    Lanes sums[Queries][Columns];
    float* const at = acc + query * padded + d;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c] = Lanes::load(at + r * padded + c * kLanes);
    }
    const float* value = values + from * padded + d;
    const float* weight = scores + query * kChunk + from;
    for (std::size_t j = from; j < to; ++j, value += padded, ++weight) {
      Lanes v[Columns];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) v[c] = Lanes::load(value + c * kLanes);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < Queries; ++r) {
        const Lanes factor = Lanes::set(weight[r * kChunk]);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < Columns; ++c) sums[r][c] = Lanes::fma(factor, v[c], sums[r][c]);
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c].store(at + r * padded + c * kLanes);
    }
  }
  template <std::size_t Queries>
  void gather_queries(std::size_t query, std::size_t from, std::size_t to) const {
    std::size_t d = 0;
    for (; d + kColumns * kLanes <= padded; d += kColumns * kLanes) gather_tile<Queries, kColumns>(query, d, from, to);
    for (; d < padded; d += kLanes) gather_tile<Queries, 1>(query, d, from, to);
  }
  // Queries of a register tile share the positions that all of them see; the rest, on the diagonal, each adds by itself, so that what
  // lies after a position never enters it, not even times 0.
  template <std::size_t Queries>
  void gather_to_limits(std::size_t query, std::size_t base) const {
    const std::size_t common = seen(query, base);
    gather_queries<Queries>(query, 0, common);
    for (std::size_t r = 1; r < Queries; ++r) {
      const std::size_t limit = seen(query + r, base);
      if (limit > common) gather_queries<1>(query + r, common, limit);
    }
  }
  void gather(std::size_t query, std::size_t base) const {
    for (; query + kQueries <= queries; query += kQueries) gather_to_limits<kQueries>(query, base);
    switch (queries - query) {
      case 5: return gather_to_limits<5>(query, base);
      case 4: return gather_to_limits<4>(query, base);
      case 3: return gather_to_limits<3>(query, base);
      case 2: return gather_to_limits<2>(query, base);
      case 1: return gather_to_limits<1>(query, base);
      default: return;
    }
  }

  void finish() const {
    for (std::size_t query = 0; query < queries; ++query) {
      float* const to = tile.out + query / tile.group * tile.out_stride + query % tile.group * dim;
      const Lanes factor = Lanes::set(1.0f / Lanes::load(total + query * kLanes).sum());
      for (std::size_t d = 0; d < dim; d += kLanes) {
        (Lanes::load(acc + query * padded + d) * factor).store_first(to + d, dim - d < kLanes ? dim - d : kLanes);
      }
    }
  }
};

}  // namespace baton::kernels
