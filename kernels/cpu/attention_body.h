// Attention of one tile (attention_kernels.h), written once over lanes. The order of operations is attention.h's.
//
// A query is a (row, head) pair; a kv head's queries are adjacent, those of a row in it too. Two ways through a chunk,
// of the same bits:
//   many queries   the chunk's keys are turned, so that a lane is a position, and its values widened, into scratch, once
//   few queries    (decode) keys are turned in registers and values widened as they are used: each is read once anyhow
//
//   scratch   keys [head_dim][64] | values [64][padded]
//             | for each query: scaled q [padded] | scores [64] | acc [padded] | total [16] | largest [1]
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/lane_math.h"
#include "kernels/cpu/lanes_scalar.h"

namespace baton::kernels {

template <class Lanes, class Element>
struct TileAttention {
  static constexpr std::size_t kColumns = Lanes::kTileColumns;   // Lanes of a register tile
  static constexpr std::size_t kQueries = kAttentionFewQueries;  // queries of a register tile
  static constexpr std::size_t kChunk = kAttentionChunk;

  const AttentionTile& tile;
  const Element* const arena;
  const std::size_t dim, padded, head_queries;  // head_queries: of one kv head
  float *keys, *values, *q, *scores, *acc, *total, *largest;

  explicit TileAttention(const AttentionTile& of)
      : tile(of),
        arena(reinterpret_cast<const Element*>(of.arena)),
        dim(of.layout.head_dim),
        padded((dim + kLanes - 1) / kLanes * kLanes),
        head_queries(std::size_t{of.rows} * of.group) {
    const std::size_t queries = head_queries * tile.kv_heads;
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
    const bool few = head_queries <= kQueries && dim % kLanes == 0;
    for (std::size_t base = 0; base <= last; base += kChunk) {
      const std::size_t count = last + 1 - base < kChunk ? last + 1 - base : kChunk;
      if (few) touch(base, count);
      const std::size_t first_row =
          base > tile.first_position ? base - tile.first_position : 0;  // earlier rows end before the chunk
      for (std::uint32_t head = 0; head < tile.kv_heads; ++head) {
        const std::size_t first = head * head_queries + first_row * tile.group, end = (head + 1) * head_queries;
        if (!few) load_chunk(base, count, tile.kv_head + head);
        by_tiles(first, end, [&]<std::size_t Queries>(std::size_t query) {
          const std::size_t most = seen(query + Queries - 1, base);  // the last query's row sees the most
          few ? score_directly<Queries>(query, base, most, tile.kv_head + head) : score_queries<Queries>(query, most);
        });
        for (std::size_t query = first; query < end; ++query) weigh(query, seen(query, base));
        by_tiles(first, end, [&]<std::size_t Queries>(std::size_t query) {
          gather_to_limits<Queries>(query, base, tile.kv_head + head, few);
        });
      }
    }
    finish();
  }

  // Calls work.operator()<N>(query) for adjacent groups of N = kQueries queries, then for those that are left.
  template <class Work>
  void by_tiles(std::size_t query, std::size_t end, const Work& work) const {
    static_assert(kQueries == 6);
    for (; query + kQueries <= end; query += kQueries) work.template operator()<kQueries>(query);
    switch (end - query) {
      case 5:
        return work.template operator()<5>(query);
      case 4:
        return work.template operator()<4>(query);
      case 3:
        return work.template operator()<3>(query);
      case 2:
        return work.template operator()<2>(query);
      case 1:
        return work.template operator()<1>(query);
      default:
        return;
    }
  }

  std::size_t row_of(std::size_t query) const { return query % head_queries / tile.group; }
  std::size_t head_of(std::size_t query) const {
    return query / head_queries * tile.group + query % head_queries % tile.group;
  }
  // Positions of the chunk at `base` that a query attends to, of 1 .. 64.
  std::size_t seen(std::size_t query, std::size_t base) const {
    const std::size_t end = std::size_t{tile.first_position} + row_of(query) + 1 - base;
    return end < kChunk ? end : kChunk;
  }
  // Sixteen positions, the first a multiple of 16, lie in one block.
  const Element* k_of(std::size_t position, std::uint32_t kv_head) const {
    const std::uint32_t tokens = tile.layout.block_tokens;
    return arena + tile.layout.k_element(tile.blocks[position / tokens], kv_head,
                                         static_cast<std::uint32_t>(position % tokens));
  }
  const Element* v_of(std::size_t position, std::uint32_t kv_head) const {
    return k_of(position, kv_head) + tile.layout.half_elements();
  }

  void begin() {
    const Lanes scale = Lanes::set(1.0f / __builtin_sqrtf(static_cast<float>(dim))), zero = Lanes::set(0.0f);
    for (std::size_t query = 0; query < head_queries * tile.kv_heads; ++query) {
      const float* const from = tile.q + row_of(query) * tile.q_stride + head_of(query) * dim;
      for (std::size_t d = 0; d < dim; d += kLanes) {
        (Lanes::load_first(from + d, dim - d < kLanes ? dim - d : kLanes) * scale).store(q + query * padded + d);
      }
      for (std::size_t d = 0; d < padded; d += kLanes) zero.store(acc + query * padded + d);
      zero.store(total + query * kLanes);
      largest[query] = -__builtin_inff();
    }
  }

  // Touches a chunk's K and V in the order of addresses before they are used head by head: decode is bound by reading
  // them, and only long runs make the hardware fetch ahead at full rate. (Prefetch instructions stop at what one core
  // may have in flight.)
  void touch(std::size_t base, std::size_t count) const {
    const std::size_t run = tile.kv_heads * tile.layout.head_elements() * sizeof(Element);
    for (std::size_t j = 0; j < count; j += tile.layout.block_tokens) {
      for (int value = 0; value < 2; ++value) {
        const auto* const at = reinterpret_cast<const volatile std::byte*>(value ? v_of(base + j, tile.kv_head)
                                                                                 : k_of(base + j, tile.kv_head));
        for (std::size_t line = 0; line < run; line += 64) (void)at[line];
      }
    }
  }

  // Positions after the last row's are read with the others, unwritten as they may be, and not used.
  void load_chunk(std::size_t base, std::size_t count, std::uint32_t kv_head) const {
    const std::size_t width = dim, stride = padded;  // locals: a store to floats could alias members
    for (std::size_t j = 0; j < count; j += kLanes) {
      const Element* const k = k_of(base + j, kv_head);
      float* const key = keys + j;
      std::size_t d = 0;
      for (; d + 8 <= width; d += 8) {
        Lanes columns[8];
        Lanes::turn(k + d, width, columns);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < 8; ++c) columns[c].store(key + (d + c) * kChunk);
      }
      for (; d < width; ++d) {
        for (std::size_t r = 0; r < kLanes; ++r) key[d * kChunk + r] = widened(k[r * width + d]);
      }
      const Element* v = v_of(base + j, kv_head);
      const std::size_t rows = count - j < kLanes ? count - j : kLanes;
      float* value = values + j * stride;
      for (std::size_t r = 0; r < rows; ++r, v += width, value += stride) {
        std::size_t at = 0;
        for (; at + kLanes <= width; at += kLanes) Lanes::load_wide(v + at).store(value + at);
        for (; at < stride; ++at) value[at] = at < width ? widened(v[at]) : 0.0f;
      }
    }
  }

  template <std::size_t Queries, std::size_t Columns>
  void score_tile(std::size_t query, std::size_t j) const {
    Lanes sums[Queries][Columns];
    clear<Queries, Columns>(sums);
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
    store_scores<Queries, Columns>(sums, query, j);
  }
  template <std::size_t Queries>
  void score_queries(std::size_t query, std::size_t count) const {
    std::size_t j = 0;
    for (; j + kColumns * kLanes <= count; j += kColumns * kLanes) score_tile<Queries, kColumns>(query, j);
    for (; j < count; j += kLanes) score_tile<Queries, 1>(query, j);
  }

  template <std::size_t Queries, std::size_t Columns>
  void score_stored(std::size_t query, std::size_t base, std::size_t j, std::uint32_t kv_head) {
    Lanes sums[Queries][Columns];
    clear<Queries, Columns>(sums);
    const Element* k[Columns];
    for (std::size_t c = 0; c < Columns; ++c) k[c] = k_of(base + j + c * kLanes, kv_head);
    const float* one = q + query * padded;
    for (std::size_t d = 0; d < dim; d += 8, one += 8) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) {
        Lanes key[8];
        Lanes::turn(k[c] + d, dim, key);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) {
#pragma GCC unroll 8
          for (std::size_t r = 0; r < Queries; ++r)
            sums[r][c] = Lanes::fma(Lanes::set(one[r * padded + i]), key[i], sums[r][c]);
        }
      }
    }
    store_scores<Queries, Columns>(sums, query, j);
  }
  template <std::size_t Queries>
  void score_directly(std::size_t query, std::size_t base, std::size_t count, std::uint32_t kv_head) {
    constexpr std::size_t kWide = Queries <= 4 ? kColumns : 1;  // with more, the sums and keys do not fit the registers
    std::size_t j = 0;
    for (; j + kWide * kLanes <= count; j += kWide * kLanes) score_stored<Queries, kWide>(query, base, j, kv_head);
    for (; j < count; j += kLanes) score_stored<Queries, 1>(query, base, j, kv_head);
  }

  template <std::size_t Queries, std::size_t Columns>
  static void clear(Lanes (&sums)[Queries][Columns]) {
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c] = Lanes::set(0.0f);
    }
  }
  template <std::size_t Queries, std::size_t Columns>
  void store_scores(const Lanes (&sums)[Queries][Columns], std::size_t query, std::size_t j) const {
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c].store(scores + (query + r) * kChunk + j + c * kLanes);
    }
  }

  // Scores become weights; what was summed before is corrected when a larger score has come.
  void weigh(std::size_t query, std::size_t count) const {
    float* const score = scores + query * kChunk;
    const float before = largest[query];
    Lanes most = Lanes::set(before);
    for (std::size_t j = 0; j < count; j += kLanes) {
      const Lanes s = Lanes::load(score + j);
      most = Lanes::max(most, count - j < kLanes ? Lanes::first(count - j, s, most) : s);
    }
    const float now = most.largest();
    largest[query] = now;
    Lanes sum = Lanes::load(total + query * kLanes);
    if (!(now == before)) {  // else the correction is exactly 1
      const Lanes correction = exp(Lanes::set(before - now));
      sum = sum * correction;
      float* const so_far = acc + query * padded;
      for (std::size_t d = 0; d < padded; d += kLanes) (Lanes::load(so_far + d) * correction).store(so_far + d);
    }
    for (std::size_t j = 0; j < count; j += kLanes) {
      Lanes weight = exp(Lanes::load(score + j) - Lanes::set(now));
      if (count - j < kLanes) weight = Lanes::first(count - j, weight, Lanes::set(0.0f));
      weight.store(score + j);
      sum = sum + weight;
    }
    sum.store(total + query * kLanes);
  }

  // acc[query ..][d ..] += the weights of positions [from, to) times `value`, whose row `from` is given.
  template <std::size_t Queries, std::size_t Columns, class Value>
  void gather_tile(std::size_t query, std::size_t d, std::size_t from, std::size_t to, const Value* value,
                   std::size_t stride) const {
    Lanes sums[Queries][Columns];
    float* const at = acc + query * padded + d;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Queries; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) sums[r][c] = Lanes::load(at + r * padded + c * kLanes);
    }
    value += d;
    const float* weight = scores + query * kChunk + from;
    for (std::size_t j = from; j < to; ++j, value += stride, ++weight) {
      Lanes v[Columns];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < Columns; ++c) v[c] = Lanes::load_wide(value + c * kLanes);
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
  template <std::size_t Queries, class Value>
  void gather_columns(std::size_t query, std::size_t from, std::size_t to, const Value* value,
                      std::size_t stride) const {
    std::size_t d = 0;
    for (; d + kColumns * kLanes <= padded; d += kColumns * kLanes)
      gather_tile<Queries, kColumns>(query, d, from, to, value, stride);
    for (; d < padded; d += kLanes) gather_tile<Queries, 1>(query, d, from, to, value, stride);
  }
  template <std::size_t Queries>
  void gather(std::size_t query, std::size_t base, std::size_t from, std::size_t to, std::uint32_t kv_head, bool few) {
    if (!few) return gather_columns<Queries>(query, from, to, values + from * padded, padded);
    for (std::size_t end; from < to; from = end) {  // up to the next multiple of 16: one block
      end = (from / kLanes + 1) * kLanes < to ? (from / kLanes + 1) * kLanes : to;
      const Element* const v = v_of((base + from) / kLanes * kLanes, kv_head) + from % kLanes * dim;
      gather_columns<Queries>(query, from, end, v, dim);
    }
  }
  // Queries of a register tile share the positions that all of them see; the rest, on the diagonal, each adds by
  // itself, so that what lies after a position never enters it, not even times 0.
  template <std::size_t Queries>
  void gather_to_limits(std::size_t query, std::size_t base, std::uint32_t kv_head, bool few) {
    const std::size_t common = seen(query, base);
    gather<Queries>(query, base, 0, common, kv_head, few);
    for (std::size_t r = 1; r < Queries; ++r) {
      const std::size_t limit = seen(query + r, base);
      if (limit > common) gather<1>(query + r, base, common, limit, kv_head, few);
    }
  }

  void finish() const {
    for (std::size_t query = 0; query < head_queries * tile.kv_heads; ++query) {
      float* const to = tile.out + row_of(query) * tile.out_stride + head_of(query) * dim;
      const Lanes factor = Lanes::set(1.0f / Lanes::load(total + query * kLanes).sum());
      for (std::size_t d = 0; d < dim; d += kLanes) {
        (Lanes::load(acc + query * padded + d) * factor).store_first(to + d, dim - d < kLanes ? dim - d : kLanes);
      }
    }
  }
};

template <class Lanes>
void attention_on(const AttentionTile& tile) {
  if (tile.layout.type == KvType::bf16) {
    TileAttention<Lanes, std::uint16_t>{tile}.run();
  } else {
    TileAttention<Lanes, float>{tile}.run();
  }
}

}  // namespace baton::kernels
