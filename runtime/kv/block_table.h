// The blocks of one sequence, in order: token t lies in blocks()[t / block_tokens]. Every entry is one reference in the pool. A
// table is moved, never copied, and given back by release(): it does not know its pool, so that both stay plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/kv/block_pool.h"

namespace baton {

class BlockTable {
 public:
  BlockTable() = default;
  BlockTable(BlockTable&& other) noexcept : blocks_(std::exchange(other.blocks_, {})) {}
  BlockTable& operator=(BlockTable&& other) noexcept {
    blocks_ = std::exchange(other.blocks_, {});
    return *this;
  }

  const std::vector<BlockId>& blocks() const { return blocks_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(blocks_.size()); }
  bool empty() const { return blocks_.empty(); }

  // Takes a reference on each of `blocks`, a prefix found by match(). The table must be empty.
  void adopt(std::span<const BlockId> blocks, BlockPool& pool);
  // Private blocks at the end until `tokens` tokens have a place; all, or none and false.
  bool grow_to(std::uint64_t tokens, BlockPool& pool);
  // Blocks that grow_to(tokens) would allocate.
  std::uint32_t missing_for(std::uint64_t tokens, const BlockPool& pool) const;
  // A table over the same `tokens` tokens: full blocks are shared, a partly filled last one gets a private twin into which
  // the caller copies it before anything is written (copy->first to copy->second; `first` carries a reference that the caller
  // releases after). Nothing, if the pool has no block for the twin.
  struct Fork;
  std::optional<Fork> fork(std::uint64_t tokens, BlockPool& pool) const;
  // Last block first, so that a cached prefix loses its tail before its head.
  void release(BlockPool& pool);

 private:
  std::vector<BlockId> blocks_;
};

struct BlockTable::Fork {
  BlockTable table;
  std::optional<std::pair<BlockId, BlockId>> copy;
};

}  // namespace baton
