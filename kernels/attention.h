// Causal attention of one layer over the paged KV cache, for any mixture of prefill chunks and decode rows.
//   q      [rows][heads][head_dim] fp32, rotated; row r at q + r * q_stride
//   arena  the layer's K and V (kv_layout.h); those of every row of this call are stored already
//   out    as q; must not overlap it
// Query head h reads kv head h / (heads / kv_heads). The row of position p attends to positions 0 .. p.
//
// Order of operations, for each row and head, with K and V as stored, widened to float:
//   q'[d] = q[d] * (1 / sqrt(head_dim)); largest = -infinity; total[16 lanes] = 0; acc[d] = 0
//   for each chunk of 64 positions from position 0 on, which ends at p:
//     s[j] = 0, then fma(q'[d], k[j][d], s[j]) for d ascending
//     new = max(largest, s[..]); correction = exp(largest - new); largest = new         exp: cpu/lane_math.h
//     total[l] = total[l] * correction; acc[d] = acc[d] * correction
//     for j ascending:  w = exp(s[j] - largest); total[j % 16] = total[j % 16] + w; acc[d] = fma(w, v[j][d], acc[d])
//   out[d] = acc[d] * (1 / total folded as in rms_norm.h)
// So a row's bits depend on its query, the stored K and V, and its position: not on blocks, batch, chunking, threads or
// ISA. A lane is a position for the scores and a dimension for the sums; nothing is added across lanes but the total.
// Sources: online softmax, Milakov and Gimelshein, 2018; FlashAttention, Dao et al., 2022; paged KV, Kwon et al., 2023.
// Cost: 2 fma for each (head, position, dimension); a kv head's K and V are read once for all heads and up to 32 rows
// that share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/isa.h"
#include "kernels/kv_layout.h"
#include "kernels/memory.h"
#include "kernels/parallel.h"

namespace baton::kernels {

// Adjacent rows of one sequence: positions first_position .. first_position + rows - 1.
struct AttentionRows {
  const std::uint32_t* blocks = nullptr;  // the sequence's block table, from position 0, up to the last row's block
  std::uint32_t first_position = 0;
  std::size_t first_row = 0;  // of q and out
  std::size_t rows = 0;
};

struct Attention {
  KvLayout layout;  // block_tokens: a multiple of 16
  const std::byte* arena = nullptr;
  std::size_t heads = 0;  // a multiple of layout.kv_heads
  const float* q = nullptr;
  std::size_t q_stride = 0;  // floats
  float* out = nullptr;
  std::size_t out_stride = 0;
  std::span<const AttentionRows> sequences;
};

// Scratch for every thread, kept from call to call.
class AttentionWorkspace {
 public:
  bool reserve(const KvLayout& layout, std::size_t heads,
               unsigned threads);  // false: no memory. Before the first attention().

 private:
  friend void attention(const Attention& job, AttentionWorkspace& workspace, Isa isa, Parallel& parallel);
  struct Task {
    std::uint32_t sequence, kv_head, kv_heads, first_row, rows;
  };
  std::vector<Task> tasks_;
  Arena arena_;
  std::size_t floats_of_thread_ = 0;
};

void attention(const Attention& job, AttentionWorkspace& workspace, Isa isa, Parallel& parallel);

}  // namespace baton::kernels
