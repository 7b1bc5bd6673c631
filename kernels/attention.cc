#include "kernels/attention.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/attention_kernels.h"
#include "kernels/require.h"

namespace baton::kernels {
namespace {

// Queries (rows times the heads that share a kv head) of a tile: enough that turning a chunk's keys costs little beside
// using them, and few enough that a tile's scratch stays in the second-level cache.
constexpr std::size_t kQueriesOfTile = 96;
constexpr std::size_t kRowsOfTile = 32;

std::size_t rows_of_tile(std::size_t group) {
  return std::clamp<std::size_t>(kQueriesOfTile / group, 1, kRowsOfTile);
}

// Of one kv head, or few of each kv head.
std::size_t most_queries(std::size_t group, std::size_t kv_heads) {
  return std::max(rows_of_tile(group) * group, kv_heads * kAttentionFewQueries);
}

}  // namespace

std::size_t attention_scratch(std::size_t head_dim, std::size_t queries) {
  const std::size_t padded = (head_dim + 15) / 16 * 16;
  const std::size_t floats = (head_dim + padded) * kAttentionChunk + queries * (2 * padded + kAttentionChunk + 16 + 1);
  return (floats + 15) / 16 * 16;
}

bool AttentionWorkspace::reserve(const KvLayout& layout, std::size_t heads, unsigned threads) {
  const std::size_t group = heads / layout.kv_heads;
  floats_of_thread_ = attention_scratch(layout.head_dim, most_queries(group, layout.kv_heads));
  auto arena = Arena::allocate(floats_of_thread_ * threads * sizeof(float));
  if (!arena) return false;
  arena_ = std::move(*arena);
  return true;
}

void attention(const Attention& job, AttentionWorkspace& workspace, Isa isa, Parallel& parallel) {
  const KvLayout& layout = job.layout;
  BATON_REQUIRE(layout.kv_heads > 0 && job.heads % layout.kv_heads == 0, "query heads are shared out evenly");
  BATON_REQUIRE(layout.block_tokens % 16 == 0, "sixteen positions lie in one block");
  const std::size_t group = job.heads / layout.kv_heads, most = rows_of_tile(group);
  const std::size_t floats = attention_scratch(layout.head_dim, most_queries(group, layout.kv_heads));
  BATON_REQUIRE(floats <= workspace.floats_of_thread_ &&
                    workspace.floats_of_thread_ * parallel.threads() * sizeof(float) <= workspace.arena_.size(),
                "the workspace was reserved for this shape and these threads");
  auto& tasks = workspace.tasks_;
  tasks.clear();
  // Few rows read K and V once, all kv heads of a block in one go as they lie in memory, unless that leaves threads
  // without work.
  const bool enough = parallel.threads() == 1 || job.sequences.size() >= 2 * parallel.threads();
  for (std::uint32_t s = 0; s < job.sequences.size(); ++s) {
    const std::size_t rows = job.sequences[s].rows;
    const std::uint32_t heads = enough && rows * group <= kAttentionFewQueries ? layout.kv_heads : 1;
    for (std::size_t end = rows, first; end > 0; end = first) {  // later rows see more: the long tasks first
      first = end > most ? end - most : 0;
      for (std::uint32_t kv_head = 0; kv_head < layout.kv_heads; kv_head += heads) {
        tasks.push_back(
            {s, kv_head, heads, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(end - first)});
      }
    }
  }
  const auto run = isa == Isa::avx512 ? attention_avx512 : isa == Isa::avx2 ? attention_avx2 : attention_scalar;
  auto* const scratch = reinterpret_cast<float*>(workspace.arena_.data());
  parallel.run(tasks.size(), [&](std::size_t index, unsigned thread) {
    const auto& task = tasks[index];
    const AttentionRows& sequence = job.sequences[task.sequence];
    const std::size_t row = sequence.first_row + task.first_row, head = task.kv_head * group * layout.head_dim;
    run({.layout = layout,
         .arena = job.arena,
         .blocks = sequence.blocks,
         .kv_head = task.kv_head,
         .kv_heads = task.kv_heads,
         .group = static_cast<std::uint32_t>(group),
         .first_position = sequence.first_position + task.first_row,
         .rows = task.rows,
         .q = job.q + row * job.q_stride + head,
         .q_stride = job.q_stride,
         .out = job.out + row * job.out_stride + head,
         .out_stride = job.out_stride,
         .scratch = scratch + thread * workspace.floats_of_thread_});
  });
}

}  // namespace baton::kernels
